// promises.md R4: a stop fails no answer; event streams, which never end by themselves, end after a whole event.
import { expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";
import { startProxy } from "./harness.ts";

const COMMENT = ": conduit draining\n\n";

/** A proxied stream whose upstream writes what the test says; `headers` are the upstream's. */
async function openStream(headers: Record<string, string> = { "Content-Type": "text/event-stream; charset=utf-8" }) {
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
  const answer = await proxy.call("/events");
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
