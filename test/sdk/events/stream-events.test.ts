import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ServerEvent, type StreamEventsOptions, streamEvents } from "../../../sdk/src/events/index.ts";
import { createConduit, isConduitError } from "../../../sdk/src/index.ts";
import { rejection } from "../fake-link.ts";
import { createFakePlatform, settle } from "../fake-platform.ts";

/** What each connection gets, in order; the last one for all that follow. */
type Script = (response: ServerResponse, request: IncomingMessage) => void;

let scripts: Script[];
let seen: IncomingMessage[];
let url: string;
const server = createServer((request, response) => {
  seen.push(request);
  const script = scripts.length > 1 ? scripts.shift() : scripts[0];
  script?.(response, request);
});

beforeEach(async () => {
  seen = [];
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/link`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const begin = (response: ServerResponse) =>
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
const stream =
  (text: string): Script =>
  (response) =>
    void begin(response).end(text);
const done: Script = (response) => void response.writeHead(204).end();
const answer =
  (status: number, headers: Record<string, string> = {}, body = ""): Script =>
  (response) =>
    void response.writeHead(status, headers).end(body);

/** Follows a stream with a clock that runs ahead through every wait. */
function follow(options: Partial<StreamEventsOptions> = {}) {
  const { platform } = createFakePlatform();
  let nowMs = 0;
  let round = 0;
  const delays: number[] = [];
  const events: ServerEvent[] = [];
  const getToken = () => ({ token: `t${++round}`, expiresIn: 900 });
  const conduit = createConduit({ url, getToken, autoRefresh: false });
  const finished = streamEvents(conduit, "/events", {
    onEvent: (event) => void events.push(event),
    onReconnect: (delayMs) => void delays.push(delayMs),
    platform: {
      ...platform,
      monotonic: () => (nowMs += 5_000),
      random: () => 1,
      setTimer: (_delayMs, callback) => {
        const timer = setImmediate(callback);
        return () => clearImmediate(timer);
      },
    },
    ...options,
  });
  return { finished, events, delays, rounds: () => round };
}

const ids = () => seen.map(({ headers }) => headers["last-event-id"]);
const tokens = () => seen.map(({ headers }) => headers.authorization);

test("events come with both credentials and Accept, and 204 ends the stream", async () => {
  scripts = [stream("data: 1\n\ndata: 2\n\n"), done];
  const { finished, events } = follow();
  await finished;
  expect(events.map(({ data }) => data)).toEqual(["1", "2"]);
  expect([seen[0]?.headers.accept, tokens()[0], ids()[0]]).toEqual(["text/event-stream", "Bearer t1", undefined]);
});

test("a broken connection is made again from the last whole event on", async () => {
  const breakOff: Script = (response) => {
    begin(response).write("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: lost");
    setTimeout(() => response.destroy(), 20);
  };
  scripts = [breakOff, stream("data: c\n\n"), done];
  const { finished, events, delays } = follow();
  await finished;
  expect(events.map(({ data, lastEventId }) => [data, lastEventId])).toEqual([
    ["a", "1"],
    ["b", "2"],
    ["c", "2"],
  ]);
  expect(ids()).toEqual([undefined, "2", "2"]);
  expect(delays).toEqual([6_000, 3_000]);
});

test("when the proxy says that the token has expired, the stream goes on at once, with a fresh token", async () => {
  const expired: Script = (response) => void begin(response).end("id: 5\ndata: a\n\n: conduit token_expired\n\n");
  const refuse = answer(401, { "X-Conduit-Error": "token_expired" });
  scripts = [expired, refuse, stream("data: b\n\n"), done];
  const { finished, events, delays, rounds } = follow();
  await finished;
  expect(events.map(({ data }) => data)).toEqual(["a", "b"]);
  expect(tokens()).toEqual(["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]);
  expect([ids().slice(1), rounds()]).toEqual([["5", "5", "5"], 2]);
  expect(delays[0]).toBe(0);
});

test("a stream that expires as soon as it begins is not asked for in a loop", async () => {
  scripts = [stream(": conduit token_expired\n\n"), done];
  const { finished, delays } = follow({
    platform: {
      ...createFakePlatform().platform,
      random: () => 1,
      setTimer: (_ms, callback) => {
        setImmediate(callback);
        return () => {};
      },
    },
  });
  await finished;
  expect(delays).toEqual([3_000]);
});

test("retry: of the stream is the wait from then on, doubled with each failure", async () => {
  scripts = [stream("retry: 10\ndata: a\n\n"), answer(503), answer(503), answer(429, { "retry-after": "7" }), done];
  const { finished, delays } = follow();
  await finished;
  expect(delays).toEqual([10, 20, 40, 7_000]);
});

test.each<[string, Script]>([
  ["403", answer(403)],
  ["404", answer(404)],
  ["200 that is no event stream", answer(200, { "content-type": "text/html" })],
  ["200 of a like-named type", answer(200, { "content-type": "text/event-streams" })],
])("%s is the end, and said so with the answer", async (_name, script) => {
  scripts = [script];
  const error = await rejection(follow().finished);
  expect(isConduitError(error, "events_refused")).toBe(true);
  expect((error as { response?: Response }).response).toBeInstanceOf(Response);
  expect(seen).toHaveLength(1);
});

test("a session that has ended is the end", async () => {
  scripts = [done];
  const conduit = createConduit({ url, getToken: () => null });
  const error = await rejection(streamEvents(conduit, "/events", { onEvent() {} }));
  expect(isConduitError(error, "session_lost")).toBe(true);
});

test("an event beyond the bound is the end, and the connection is let go", async () => {
  let closed: Promise<unknown> = Promise.resolve();
  scripts = [
    (response) => {
      closed = once(response, "close");
      begin(response).write("data: ".padEnd(5_000, "x"));
    },
  ];
  const error = await rejection(follow({ eventMaxChars: 1_000 }).finished);
  expect(isConduitError(error, "events_refused")).toBe(true);
  await closed;
});

test("what a listener throws is the end; the next event waits for it", async () => {
  scripts = [stream("data: 1\n\ndata: 2\n\ndata: 3\n\n")];
  const order: string[] = [];
  const onEvent = async ({ data }: ServerEvent) => {
    order.push(`begin ${data}`);
    await settle();
    order.push(`end ${data}`);
    if (data === "2") throw new RangeError("mine");
  };
  expect(await rejection(follow({ onEvent }).finished)).toMatchObject({ message: "mine" });
  expect(order).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
});

test("the signal ends it while it streams, and while it waits", async () => {
  for (const script of [(response: ServerResponse) => void begin(response).write("data: 1\n\n"), answer(503)]) {
    scripts = [script];
    const controller = new AbortController();
    const stop = () => controller.abort(new Error("left"));
    const { finished } = follow({ signal: controller.signal, onEvent: stop, onReconnect: stop });
    expect(await rejection(finished)).toMatchObject({ message: "left" });
  }
});

test("a byte order mark and characters cut in the middle are read right", async () => {
  const bytes = Buffer.from("\ufeffdata: \u{1f98a} ok\n\n");
  scripts = [
    (response) => {
      begin(response).write(bytes.subarray(0, 11));
      setTimeout(() => response.end(bytes.subarray(11)), 20);
    },
    done,
  ];
  const { finished, events } = follow();
  await finished;
  expect(events.map(({ data }) => data)).toEqual(["\u{1f98a} ok"]);
});

test("a stream asked for by POST sends its body with every attempt", async () => {
  const bodies: string[] = [];
  const keep =
    (script: Script): Script =>
    (response, request) => {
      let body = "";
      request.on("data", (piece) => {
        body += String(piece);
      });
      request.on("end", () => {
        bodies.push(body);
        script(response, request);
      });
    };
  scripts = [keep(stream("data: 1\n\n")), keep(done)];
  await follow({ init: { method: "POST", body: "prompt" } }).finished;
  expect(bodies).toEqual(["prompt", "prompt"]);
});
