// promises.md R4: a stop fails no answer; event streams, which never end by themselves, end after a whole event.
import { expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";
import { linkOf, revokeToken, startProxy, userToken } from "./harness.ts";

const COMMENT = ": conduit draining\n\n";

/** A proxied stream whose upstream writes what the test says; `headers` are the upstream's. */
async function openStream(
  headers: Record<string, string> = { "Content-Type": "text/event-stream; charset=utf-8" },
  token = userToken(),
) {
  let write: (text: string) => void = () => undefined;
  let isUpstreamClosed = false;
  const upstream = await startHttpServer((_request, { response }) => {
    response.writeHead(200, headers).flushHeaders();
    response.on("close", () => {
      isUpstreamClosed = true;
    });
    write = (text) => response.write(text);
    return undefined;
  });
  const proxy = await startProxy({ baseUrl: upstream.url });
  const answer = await proxy.call("/events", { headers: { authorization: `Bearer ${token}` } });
  let text = "";
  let isEnded = false;
  const reading = (async () => {
    for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString();
    isEnded = true;
  })();
  // A stream that goes on is cut by the end of the test.
  reading.catch(() => undefined);
  const received = (wanted: string) => until("what was written is received", () => text === wanted || undefined);
  return {
    proxy,
    baseUrl: upstream.url,
    write: (part: string) => write(part),
    received,
    ended: () => reading.then(() => text),
    isEnded: () => isEnded,
    isUpstreamClosed: () => isUpstreamClosed,
    [Symbol.asyncDispose]: () => upstream.close(),
  };
}

test.each([
  ["before the first event", []],
  ["between events", ["data: 1\n\n", "data: 2\n\n"]],
  ["after lines that end with CR LF, cut anywhere", ["data: 1\r\n\r", "\n"]],
  ["after lines that end with CR", ["data: 1\r\r"]],
])("a stream ends at once %s, and its upstream's socket closes", async (_when, parts) => {
  await using stream = await openStream();
  for (const [at, part] of parts.entries()) {
    stream.write(part);
    await stream.received(parts.slice(0, at + 1).join(""));
  }
  stream.proxy.drain();
  expect(await stream.ended()).toBe(parts.join("") + COMMENT);
  await until("the upstream's response is closed", () => stream.isUpstreamClosed() || undefined);
});

test("an event that has begun is finished first, and what comes after it is not sent", async () => {
  await using stream = await openStream();
  stream.write("data: a");
  await stream.received("data: a");
  stream.proxy.drain();
  stream.write("b\ndata: c\n\ndata: next\n\n");
  expect(await stream.ended()).toBe(`data: ab\ndata: c\n\n${COMMENT}`);
});

test("streams that begin while draining end at once", async () => {
  await using stream = await openStream();
  stream.proxy.drain();
  await stream.ended();
  const late = await stream.proxy.call("/events");
  expect([late.status, await late.text()]).toEqual([200, COMMENT]);
});

test.each([
  ["another type", { "Content-Type": "application/x-ndjson" }],
  ["an announced length", { "Content-Type": "text/event-stream", "Content-Length": "18" }],
  ["a coding", { "Content-Type": "text/event-stream", "Content-Encoding": "br" }],
])("an answer with %s goes on", async (_what, headers) => {
  await using stream = await openStream(headers);
  stream.proxy.drain();
  if ("Content-Encoding" in headers) return expect(stream.isEnded()).toBe(false);
  stream.write("data: 1\n\n");
  await stream.received("data: 1\n\n");
  expect(stream.isEnded()).toBe(false);
});

test("S11: a stream ends with the token that opened it, after a whole event", async () => {
  const exp = Math.floor(Date.now() / 1000) + 2;
  await using stream = await openStream(undefined, userToken({ exp }));
  stream.write("data: 1\n\n");
  await stream.received("data: 1\n\n");
  expect(await stream.ended()).toBe("data: 1\n\n: conduit token_expired\n\n");
  expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
  expect(Date.now()).toBeLessThan(exp * 1000 + 1_500);
});

test("S11: a stream ends when its link is switched off, and not when it is merely changed", async () => {
  await using stream = await openStream();
  const change = (changes: Parameters<typeof linkOf>[1]) => {
    const link = linkOf(stream.baseUrl, changes);
    stream.proxy.put({ kind: "link", name: link.name, link });
  };
  change({ displayName: "another" });
  stream.write("data: 1\n\n");
  await stream.received("data: 1\n\n");
  change({ state: "DISABLED" });
  expect(await stream.ended()).toBe("data: 1\n\n: conduit link_disabled\n\n");
});

test("S11: a stream ends at once when its token is revoked, and another's goes on", async () => {
  await using stream = await openStream(undefined, userToken({ jti: "stolen" }));
  await using other = await openStream(undefined, userToken({ jti: "kept" }));
  stream.write("data: 1\n\n");
  await stream.received("data: 1\n\n");
  revokeToken(other.proxy, "stolen");
  revokeToken(stream.proxy, "stolen");
  expect(await stream.ended()).toBe("data: 1\n\n: conduit token_revoked\n\n");
  other.write("data: 2\n\n");
  await other.received("data: 2\n\n");
});
