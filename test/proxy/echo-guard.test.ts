// promises.md S17: a credential that an upstream sends back never reaches the client; how often is counted.
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Injection } from "../../server/src/model/link.ts";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";
import { HIDDEN_KEY, LINK_ID, type LinkChanges, startProxy } from "./harness.ts";

const SECRET = "projects/demo/secrets/key";
const STARS = "*".repeat(HIDDEN_KEY.length);

/** Value of the counter of blanked credentials, once the request has been recorded. */
async function echoesOf(proxy: Awaited<ReturnType<typeof startProxy>>, place: "head" | "body") {
  const text = await proxy.registry.metrics();
  const line = new RegExp(`conduit_proxy_credential_echoes_total\\{link="${LINK_ID}",place="${place}"\\} (\\d+)`);
  return Number(line.exec(text)?.[1] ?? 0);
}
const counted = (proxy: Awaited<ReturnType<typeof startProxy>>, place: "head" | "body", times: number) =>
  until(`${times} counted`, async () => ((await echoesOf(proxy, place)) === times ? true : undefined));

describe("S17: in headers and redirects", () => {
  test("every line and spelling is blanked and counted", async () => {
    const key = 'k"/<ü> + 4f7a9c';
    const spellings = [
      Buffer.from(key).toString("latin1"),
      encodeURIComponent(key),
      encodeURIComponent(key).toLowerCase(),
      "k%22%2F%3C%C3%BC%3E+%2B+4f7a9c",
      Buffer.from(JSON.stringify(key)).toString("latin1"),
      Buffer.from(key).toString("base64"),
      Buffer.from(key).toString("base64url"),
      "k&quot;/&lt;%&gt; + 4f7a9c".replace("%", Buffer.from("ü").toString("latin1")),
    ];
    await using upstream = await startHttpServer(() => ({
      headers: Object.fromEntries(spellings.map((value, at) => [`X-Echo-${at}`, `(${value})`])),
    }));
    const injections: Injection[] = [{ kind: "query", name: "key", secret: SECRET }];
    const proxy = await startProxy({ baseUrl: upstream.url, hiddenKey: key, link: { injections } });
    const answer = await proxy.call("/x");
    const echoed = spellings.map((_, at) => answer.headers.get(`x-echo-${at}`));
    expect(echoed).toEqual(
      spellings.map((value) => (value.startsWith('"') ? '("[hidden]")' : expect.stringMatching(/^\(\[hidden\]=*\)$/))),
    );
    await counted(proxy, "head", spellings.length);
    expect(proxy.logLines.join("")).toContain(`"credential_echoes":${spellings.length}`);
    expect(proxy.logLines.join("")).not.toContain("4f7a9c");
  });

  test("a redirect that carries it leads on without it", async () => {
    const location = `next?api_key=${HIDDEN_KEY}&b=%20c`;
    await using upstream = await startHttpServer(() => ({ status: 302, headers: { Location: location } }));
    const injections: Injection[] = [{ kind: "query", name: "api_key", secret: SECRET }];
    const proxy = await startProxy({ baseUrl: upstream.url, link: { injections } });
    expect((await proxy.call("/x")).headers.get("location")).toBe(`/${LINK_ID}/next?b=+c`);
    await counted(proxy, "head", 1);
  });

  test("a redirect without it stays as the upstream wrote it", async () => {
    await using upstream = await startHttpServer(() => ({ status: 302, headers: { Location: "next?b=%20c" } }));
    const injections: Injection[] = [{ kind: "query", name: "api_key", secret: SECRET }];
    const proxy = await startProxy({ baseUrl: upstream.url, link: { injections } });
    expect((await proxy.call("/x")).headers.get("location")).toBe(`/${LINK_ID}/next?b=%20c`);
    expect(await echoesOf(proxy, "head")).toBe(0);
  });
});

describe("S17: in bodies, where the link says so", () => {
  const scanning: LinkChanges = { scanResponseBodies: true };

  test("the key is blanked byte for byte, across chunks, and counted", async () => {
    await using upstream = await startHttpServer((_request, { response }) => {
      const text = `{"a":"${HIDDEN_KEY}","b":"${HIDDEN_KEY}"}`;
      response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length, ETag: '"e"' });
      response.write(text.slice(0, 12), () => setTimeout(() => response.end(text.slice(12)), 20));
      return undefined;
    });
    const proxy = await startProxy({ baseUrl: upstream.url, link: scanning });
    const answer = await proxy.call("/x", { headers: { "accept-encoding": "gzip, br" } });
    expect(await answer.json()).toEqual({ a: STARS, b: STARS });
    expect(answer.headers.get("etag")).toBe('"e"');
    expect(upstream.requests[0]?.header("accept-encoding")).toEqual(["identity"]);
    await counted(proxy, "body", 2);
  });

  test("a range keeps its length and place", async () => {
    const whole = `0123456789${HIDDEN_KEY}0123456789`;
    await using upstream = await startHttpServer(({ header }) => {
      const [, from = 0, to = 0] = /^bytes=(\d+)-(\d+)$/.exec(header("range")[0] ?? "") ?? [];
      const body = whole.slice(Number(from), Number(to) + 1);
      return { status: 206, headers: { "Content-Range": `bytes ${from}-${to}/${whole.length}` }, body };
    });
    const proxy = await startProxy({ baseUrl: upstream.url, link: scanning });
    const answer = await proxy.call("/x", { headers: { range: `bytes=8-${HIDDEN_KEY.length + 11}` } });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("content-range")).toBe(`bytes 8-${HIDDEN_KEY.length + 11}/${whole.length}`);
    expect(await answer.text()).toBe(`89${STARS}01`);
  });

  test("events pass at once", async () => {
    await using upstream = await startHttpServer((_request, { response }) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write(`data: ${HIDDEN_KEY}\n\n`);
      return undefined;
    });
    const proxy = await startProxy({ baseUrl: upstream.url, link: scanning });
    const reader = (await proxy.call("/x")).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(`data: ${STARS}\n\n`);
    proxy.drain();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(": conduit draining\n\n");
  });

  test("what is compressed all the same passes untouched, as does every body of other links", async () => {
    const body = gzipSync(HIDDEN_KEY);
    await using upstream = await startHttpServer(({ target }) =>
      target === "/gzip" ? { headers: { "Content-Encoding": "gzip" }, body } : { body: HIDDEN_KEY },
    );
    const proxy = await startProxy({ baseUrl: upstream.url, link: scanning });
    expect(await (await proxy.call("/gzip")).text()).toBe(HIDDEN_KEY);
    const other = await startProxy({ baseUrl: upstream.url });
    expect(await (await other.call("/x", { headers: { "accept-encoding": "br" } })).text()).toBe(HIDDEN_KEY);
    expect(upstream.requests.at(-1)?.header("accept-encoding")).toEqual(["br"]);
  });
});
