// contract.md 5 (answers), promises.md S17, S26.
import { describe, expect, test } from "vitest";
import { type Answer, startHttpServer } from "../support/http-server.ts";
import { HIDDEN_KEY, LINK_ID, type LinkChanges, startProxy } from "./harness.ts";

/** The proxy's answer to an upstream's; `UPSTREAM` in a header stands for the upstream's own URL. */
async function through({ headers = {}, ...answer }: Answer, link: LinkChanges = {}) {
  const named = (url: string) => JSON.parse(JSON.stringify(headers).replaceAll("UPSTREAM", url)) as typeof headers;
  await using upstream = await startHttpServer(() => ({ ...answer, headers: named(upstream.url) }));
  const proxy = await startProxy({ baseUrl: `${upstream.url}/v1`, link });
  const received = await proxy.call("/dir/page?q=1");
  const body = await received.arrayBuffer();
  return new Response(body.byteLength === 0 ? null : body, received);
}

test("S26: private by default: shared-cache directives go, Vary names what distinguishes users", async () => {
  const answer = await through({
    headers: {
      "Cache-Control": "public, max-age=60, s-maxage=600",
      Vary: "Accept",
      "CDN-Cache-Control": "max-age=1",
      "Surrogate-Control": "x",
    },
  });
  expect(answer.headers.get("cache-control")).toBe("max-age=60, private");
  expect(answer.headers.get("vary")).toBe("Accept, Authorization, X-Access-Token, Origin");
  expect(answer.headers.get("cdn-cache-control")).toBeNull();
  expect(answer.headers.get("surrogate-control")).toBeNull();
  expect((await through({})).headers.get("cache-control")).toBe("private");
});

test("a link with shared_cache leaves them", async () => {
  const headers = { "Cache-Control": "public, s-maxage=600", Vary: "Accept" };
  const answer = await through({ headers }, { sharedCache: true });
  expect(answer.headers.get("cache-control")).toBe("public, s-maxage=600");
  expect(answer.headers.get("vary")).toBe("Accept");
});

test("S26: nothing of the browser's crosses from one link to another", async () => {
  const dropped = {
    ...{
      "Set-Cookie": ["a=1", "b=2"],
      "Clear-Site-Data": '"*"',
      "Strict-Transport-Security": "max-age=1",
      "Alt-Svc": "h3",
    },
    ...{
      "Service-Worker-Allowed": "/",
      Refresh: "0;url=//evil",
      "Report-To": "{}",
      NEL: "{}",
      "X-Conduit-Error": "forged",
    },
    ...{
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Allow-Origin": "https://evil.example",
      "Proxy-Authenticate": "Basic",
    },
  };
  const answer = await through({
    headers: { ...dropped, ETag: '"e"', "X-Own": "1", "Content-Security-Policy": "default-src 'self'" },
  });
  for (const name of Object.keys(dropped)) {
    expect([name, answer.headers.get(name)]).toEqual([name, name === "Access-Control-Allow-Origin" ? "*" : null]);
  }
  expect(answer.headers.get("etag")).toBe('"e"');
  expect(answer.headers.get("x-own")).toBe("1");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("content-security-policy")).toBe("default-src 'self', sandbox");
});

describe("S26: Location is resolved against the upstream request", () => {
  test.each([
    ["inside the base URL", "/v1/other?a=b#c", `/${LINK_ID}/other?a=b#c`],
    ["relative", "next", `/${LINK_ID}/dir/next`],
    ["a query only", "?p=2", `/${LINK_ID}/dir/page?p=2`],
    ["the base itself", "/v1", `/${LINK_ID}`],
    ["absolute", "UPSTREAM/v1/x", `/${LINK_ID}/x`],
  ])("%s", async (_what, location, expected) => {
    const answer = await through({ status: 302, headers: { Location: location } });
    expect([answer.status, answer.headers.get("location")]).toEqual([302, expected]);
  });

  test.each([
    ["another host", "https://evil.example/v1/x"],
    ["a scheme-relative host", "//evil.example/v1/x"],
    ["backslashes that browsers read as slashes", "\\\\evil.example\\v1"],
    ["outside the base path", "/v2/x"],
    ["a path that only begins like the base", "/v1x"],
    ["upwards", "../../../secret"],
    ["upwards, encoded", "/v1/%2e%2e/secret"],
    ["a user in front of the host", "http://u@127.0.0.1/v1"],
    ["script", "javascript:alert(1)"],
    ["nonsense", "http://"],
  ])("%s is refused with 502", async (_what, location) => {
    const answer = await through({ status: 302, headers: { Location: location } });
    expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([502, "upstream_redirect_refused"]);
    expect(JSON.stringify([...answer.headers])).not.toContain("evil");
  });

  test("a listed origin passes", async () => {
    const link = { allowedRedirectOrigins: ["https://login.example"] };
    const answer = await through({ status: 302, headers: { Location: "https://login.example/x?y" } }, link);
    expect(answer.headers.get("location")).toBe("https://login.example/x?y");
  });

  test("two Locations are refused, and Content-Location follows the same rules", async () => {
    expect((await through({ status: 302, headers: { Location: ["/v1/a", "/v1/b"] } })).status).toBe(502);
    expect((await through({ headers: { "Content-Location": "/v1/a" } })).headers.get("content-location")).toBe(
      `/${LINK_ID}/a`,
    );
    expect((await through({ headers: { "Content-Location": "/other" } })).status).toBe(502);
  });
});

test("S17: a credential that the upstream sends back is blanked in every header", async () => {
  const secret = "projects/demo/secrets/key";
  const headers = {
    "X-Echo": `key=${HIDDEN_KEY}!`,
    Link: `<https://a.example/?k=${HIDDEN_KEY}>`,
    "X-Two": [HIDDEN_KEY, "b"],
  };
  const answer = await through({ headers });
  expect(JSON.stringify([...answer.headers])).not.toContain(HIDDEN_KEY);
  expect(answer.headers.get("x-echo")).toBe("key=[hidden]!");
  const location = { status: 302, headers: { Location: `?api_key=${HIDDEN_KEY}&a=1` } };
  const redirect = await through(location, { injections: [{ kind: "query", name: "api_key", secret }] });
  expect(redirect.headers.get("location")).toBe(`/${LINK_ID}/dir/page?a=1`);
  const pair = Buffer.from(`u:${HIDDEN_KEY}`).toString("base64");
  const basic = await through(
    { headers: { "X-Echo": `Basic ${pair}` } },
    { injections: [{ kind: "basic", name: "u", secret }] },
  );
  expect(basic.headers.get("x-echo")).toBe("Basic [hidden]");
});

test("an upstream's own 401 and 403 pass unchanged", async () => {
  const answer = await through({ status: 403, headers: { "WWW-Authenticate": "Custom" }, body: "no" });
  expect([answer.status, answer.headers.get("x-conduit-error"), await answer.text()]).toEqual([403, null, "no"]);
});
