// promises.md R5, S3: clients that are slow on purpose hold a connection for a bounded time, and nothing of the upstream's.
import { EventEmitter, once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { HttpAnswer } from "../../server/src/proxy/http-answer.ts";
import { HttpBody } from "../../server/src/proxy/http-body.ts";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";
import { credentialLines, LINK_ID, rawExchange, startProxy, statusesOf } from "./harness.ts";

const HEAD = `Host: a.example\r\n${credentialLines()}`;

test("a head that drips is cut after the head's time, however steady the drip", async () => {
  await using upstream = await startHttpServer();
  const serverOptions = { headersTimeout: 200, connectionsCheckingInterval: 20 };
  const proxy = await startProxy({ baseUrl: upstream.url, serverOptions });
  const answer = await rawExchange(proxy.port, `GET /${LINK_ID}/x HTTP/1.1\r\nX: `, (socket) => {
    const drip = setInterval(() => socket.write("a"), 10);
    socket.on("close", () => clearInterval(drip));
  });
  expect(statusesOf(answer)).toEqual([408]);
});

test("so is the next head on a connection that was good so far", async () => {
  await using upstream = await startHttpServer();
  const serverOptions = { headersTimeout: 200, connectionsCheckingInterval: 20 };
  const proxy = await startProxy({ baseUrl: upstream.url, serverOptions });
  const answer = await rawExchange(proxy.port, `GET /${LINK_ID}/x HTTP/1.1\r\n${HEAD}\r\n`, (socket) => {
    socket.once("data", () => socket.write(`GET /${LINK_ID}/y HTTP/1.1\r\nX: `));
  });
  expect(statusesOf(answer)).toEqual([200, 408]);
  expect(upstream.requests).toHaveLength(1);
});

test.each([
  ["chunk sizes", "Transfer-Encoding: chunked", "1;"],
  ["a body that stops", "Content-Length: 10", "abc"],
])("%s: a body without progress is cut, and never becomes a whole request", async (_what, framing, beginning) => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, bodyIdleMs: 150 });
  const request = `POST /${LINK_ID}/x HTTP/1.1\r\n${HEAD}${framing}\r\n\r\n${beginning}`;
  expect(statusesOf(await rawExchange(proxy.port, request))).toEqual([408]);
  expect(upstream.requests).toEqual([]);
});

test("a chunk extension without end is cut, not kept", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url });
  const request = `POST /${LINK_ID}/x HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n1;`;
  const answer = await rawExchange(proxy.port, request, (socket) => {
    const more = setInterval(() => socket.write("a".repeat(10_000)), 5);
    socket.on("close", () => clearInterval(more));
  });
  expect(statusesOf(answer)[0]).toBeGreaterThanOrEqual(400);
  expect(upstream.requests).toEqual([]);
});

test("a client that stops reading is cut, whoever holds the rest", async () => {
  await using upstream = await startHttpServer(() => ({ body: Buffer.alloc(6_000_000) }));
  const proxy = await startProxy({
    baseUrl: upstream.url,
    readIdleMs: 200,
    link: { upstream: { idleTimeoutMs: 400 } },
  });
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.pause();
  socket.write(`GET /${LINK_ID}/x HTTP/1.1\r\n${HEAD}\r\n`);
  await until("it is recorded", () => proxy.logLines.length > 0 || undefined);
  expect(JSON.parse(proxy.logLines[0] ?? "{}")).toMatchObject({ status: 200 });
  socket.destroy();
});

test("what is left of a complete answer waits for its reader for a bounded time", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const response = Object.assign(new EventEmitter(), {
    destroyed: false,
    writableFinished: false,
    writableLength: 5,
    end: () => undefined,
    destroy() {
      response.destroyed = true;
      response.emit("close");
    },
  });
  const incoming = { complete: true } as IncomingMessage;
  const body = new HttpBody(incoming, undefined);
  const answer = new HttpAnswer(incoming, response as unknown as ServerResponse, body, { readIdleMs: 1_000 });
  answer.end();
  vi.advanceTimersByTime(999);
  expect(response.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  expect([response.destroyed, answer.isOver]).toEqual([true, true]);
});
