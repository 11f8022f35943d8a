// promises.md S26: links served by path share one browser origin. Nothing that a browser keeps for an origin passes from an
// upstream, and no cache in front may give one user's answer to another.
import { describe, expect, test } from "vitest";
import { type Answer, startHttpServer } from "../support/http-server.ts";
import { type LinkChanges, startProxy } from "./harness.ts";

async function through(answer: Answer, link: LinkChanges = {}, path = "/x") {
  await using upstream = await startHttpServer(() => answer);
  const proxy = await startProxy({ baseUrl: upstream.url, link });
  const received = await proxy.call(path);
  await received.arrayBuffer();
  return received;
}

describe("S26: what a browser would keep for the whole origin is dropped", () => {
  test.each([
    ["Set-Cookie", "sid=1; Path=/"],
    ["Set-Cookie2", "sid=1"],
    ["Clear-Site-Data", '"*"'],
    ["Strict-Transport-Security", "max-age=31536000"],
    ["Alt-Svc", 'h3=":443"'],
    ["Service-Worker-Allowed", "/"],
    ["Refresh", "0;url=https://evil.example"],
    ["Report-To", '{"group":"a"}'],
    ["NEL", '{"report_to":"a"}'],
    ["Accept-CH", "Sec-CH-UA-Model"],
    ["Critical-CH", "Sec-CH-UA-Model"],
    ["Use-As-Dictionary", 'match="/*"'],
    ["Set-Login", "logged-in"],
    ["Secure-Session-Registration", '(ES256);path="/r"'],
    ["Sec-Session-Registration", '(ES256);path="/r"'],
    ["Public-Key-Pins", 'pin-sha256="x"'],
    ["Expect-CT", "max-age=1"],
    ["Access-Control-Allow-Credentials", "true"],
    ["X-Conduit-Error", "forged"],
  ])("%s, in any case, also with shared_cache and on errors", async (name, value) => {
    for (const [spelt, status, sharedCache] of [
      [name, 200, false],
      [name.toLowerCase(), 404, true],
      [name.toUpperCase(), 500, false],
    ] as const) {
      const answer = await through({ status, headers: { [spelt]: value, "X-Own": "1" } }, { sharedCache });
      expect([answer.status, answer.headers.get(name), answer.headers.get("x-own")]).toEqual([status, null, "1"]);
    }
  });

  test("every answer is sandboxed and typed, whatever policy the upstream has", async () => {
    for (const headers of [
      {},
      { "Content-Security-Policy": "sandbox allow-scripts allow-same-origin" },
      { "X-Content-Type-Options": "wrong" },
    ]) {
      const { headers: got } = await through({
        headers: { "Content-Type": "text/html", ...headers },
        body: "<script>",
      });
      // Several policies all hold: the strictest sandbox wins (CSP 3, 8.1).
      expect(got.get("content-security-policy")?.split(", ").at(-1)).toBe("sandbox");
      expect(got.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("a browser's cookie never reaches an upstream", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    await proxy.call("/x", { headers: { cookie: "other-link=secret" } });
    expect(JSON.stringify(upstream.requests[0]?.headers)).not.toContain("secret");
  });
});

describe("S26: one user's answer stays his", () => {
  const VARY = "Authorization, X-Access-Token, Origin";
  test.each<[sent: string | string[] | undefined, expected: string]>([
    [undefined, "private"],
    ["public", "private"],
    ["public, max-age=60", "max-age=60, private"],
    ["PUBLIC,S-MaxAge=600, must-revalidate", "must-revalidate, private"],
    ["s-maxage = 5", "private"],
    ["private", "private"],
    ['private="x-a", max-age=1', "max-age=1, private"],
    ['no-cache="set-cookie, public", public', 'no-cache="set-cookie, public", private'],
    ["no-store", "no-store, private"],
    [["public", "max-age=5, s-maxage=9"], "max-age=5, private"],
    ["", "private"],
    ["publicity=1, max-age=2", "publicity=1, max-age=2, private"],
  ])("Cache-Control %j becomes %j", async (sent, expected) => {
    const answer = await through({ headers: sent === undefined ? {} : { "Cache-Control": sent } });
    expect(answer.headers.get("cache-control")).toBe(expected);
    expect(answer.headers.get("vary")).toBe(VARY);
  });

  test.each<[sent: string | string[], expected: string]>([
    ["Accept", `Accept, ${VARY}`],
    ["origin", "origin, Authorization, X-Access-Token"],
    ["AUTHORIZATION, x-access-token, Origin", "AUTHORIZATION, x-access-token, Origin"],
    ["*", "*"],
    ["Accept, *", "*"],
    [["Accept", "Accept-Language"], `Accept, Accept-Language, ${VARY}`],
  ])("Vary %j becomes %j", async (sent, expected) => {
    expect((await through({ headers: { Vary: sent } })).headers.get("vary")).toBe(expected);
  });

  test.each(["CDN-Cache-Control", "Surrogate-Control", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control"])(
    "%s, which caches in front would obey instead, is dropped",
    async (name) => {
      expect((await through({ headers: { [name]: "max-age=600" } })).headers.get(name)).toBeNull();
      const shared = await through({ headers: { [name]: "max-age=600" } }, { sharedCache: true });
      expect(shared.headers.get(name)).toBe("max-age=600");
    },
  );

  test("with shared_cache the upstream's word stands, but for pages of other origins", async () => {
    const headers = { "Cache-Control": "public, s-maxage=9", Vary: "Accept" };
    const open = await through({ headers }, { sharedCache: true });
    expect([open.headers.get("cache-control"), open.headers.get("vary")]).toEqual(["public, s-maxage=9", "Accept"]);
    const cors = { origins: ["https://a.example"], headers: [], credentials: false };
    expect((await through({ headers }, { sharedCache: true, cors })).headers.get("vary")).toBe("Accept, Origin");
  });
});
