import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createFetchJson, type FetchJsonOptions } from "../../server/src/outbound/capped-fetch.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import { type Answerer, startHttpServer } from "../support/http-server.ts";

const fetchJson = createFetchJson(createDialer(async () => [{ address: "127.0.0.1", family: 4 }]));
const OPTIONS: FetchJsonOptions = { timeoutMs: 2_000, maxBytes: 1_000, allowPrivate: true };

async function fetchFrom(answer: Answerer, options: Partial<FetchJsonOptions> = {}, path = "/jwks.json?v=1") {
  await using server = await startHttpServer(answer);
  const result = await fetchJson(`${server.url}${path}`, { ...OPTIONS, ...options }).catch((cause: unknown) => cause);
  return { result, server };
}
const failure = (code: string) => expect.objectContaining({ code });

describe("createFetchJson", () => {
  test("gives status, headers and text of the document", async () => {
    const { result, server } = await fetchFrom(() => ({
      headers: { "cache-control": "max-age=60" },
      body: { keys: [] },
    }));
    expect(result).toMatchObject({ status: 200, headers: { "cache-control": "max-age=60" }, body: '{"keys":[]}' });
    expect(server.requests.map(({ method, target }) => [method, target])).toEqual([["GET", "/jwks.json?v=1"]]);
  });

  test("never follows a redirect", async () => {
    const { result, server } = await fetchFrom(() => ({ status: 302, headers: { location: "/elsewhere" } }));
    expect(result).toMatchObject({ status: 302 });
    expect(server.requests).toHaveLength(1);
  });

  test("refuses a body over the cap, with or without Content-Length", async () => {
    const long = "x".repeat(1_001);
    expect((await fetchFrom(() => ({ body: long }))).result).toEqual(failure("upstream_invalid"));
    const streamed = await fetchFrom((_request, { response }) => {
      response.write(long);
      response.end();
      return undefined;
    });
    expect(streamed.result).toEqual(failure("upstream_invalid"));
    expect((await fetchFrom(() => ({ body: "x".repeat(1_000) }))).result).toMatchObject({ status: 200 });
  });

  test("stops reading an endless body", async () => {
    const { result } = await fetchFrom((_request, { response }) => {
      const timer = setInterval(() => response.write("x".repeat(500)), 1);
      response.once("close", () => clearInterval(timer));
      return undefined;
    });
    expect(result).toEqual(failure("upstream_invalid"));
  });

  test("refuses a compressed body: a bomb would pass the cap", async () => {
    const { result } = await fetchFrom(() => ({ headers: { "content-encoding": "gzip" }, body: gzipSync("{}") }));
    expect(result).toEqual(failure("upstream_invalid"));
  });

  test("refuses a body that is not UTF-8", async () => {
    expect((await fetchFrom(() => ({ body: Buffer.from([0x22, 0xff, 0x22]) }))).result).toEqual(
      failure("upstream_invalid"),
    );
  });

  test("gives up on a host that does not answer in time, or stops in the middle", async () => {
    const silent = await fetchFrom(() => undefined, { timeoutMs: 150 });
    expect(silent.result).toEqual(failure("upstream_timeout"));
    const stuck = await fetchFrom(
      (_request, { response }) => {
        response.write("{");
        return undefined;
      },
      { timeoutMs: 150 },
    );
    expect(stuck.result).toEqual(failure("upstream_timeout"));
  });

  test("throws the caller's own reason when the caller aborts", async () => {
    const reason = new Error("no longer needed");
    const abort = new AbortController();
    const { result } = await fetchFrom(
      () => {
        abort.abort(reason);
        return undefined;
      },
      { signal: abort.signal },
    );
    expect(result).toBe(reason);
  });

  test("a broken answer is invalid, a refused connection unreachable", async () => {
    const broken = await fetchFrom((_request, { response }) => {
      response.socket?.end("HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n");
      return undefined;
    });
    expect(broken.result).toEqual(failure("upstream_invalid"));
    const { server } = await fetchFrom(() => ({}));
    await expect(fetchJson(`${server.url}/`, OPTIONS)).rejects.toEqual(failure("upstream_unreachable"));
  });

  test("nothing is sent to a private host without the operator's word, nor over plain http to a public one", async () => {
    const { result, server } = await fetchFrom(() => ({}), { allowPrivate: false });
    expect(result).toEqual(failure("upstream_address_refused"));
    expect(server.connections).toBe(0);
    await expect(fetchJson("http://idp.example/jwks.json", OPTIONS)).rejects.toEqual(
      failure("upstream_address_refused"),
    );
    await expect(fetchJson("https://u:p@idp.example/", OPTIONS)).rejects.toEqual(failure("upstream_address_refused"));
    await expect(fetchJson("not a url", OPTIONS)).rejects.toEqual(failure("upstream_address_refused"));
  });
});
