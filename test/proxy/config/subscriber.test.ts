// How the stream is followed: control-plane.md 1.7, point 7.
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Hello_Mode,
  type WatchConfigRequestSchema,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { JwksSources } from "../../../server/src/jwt/jwks.ts";
import { ConfigReceiver } from "../../../server/src/proxy/config/apply.ts";
import { backoffMs } from "../../../server/src/proxy/config/backoff.ts";
import { CompiledLinks } from "../../../server/src/proxy/config/compiled-links.ts";
import type { ControlClient, StreamListener } from "../../../server/src/proxy/config/control-client.ts";
import { ConfigSubscriber } from "../../../server/src/proxy/config/subscriber.ts";
import type { Random } from "../../../server/src/random.ts";
import { fakeClock } from "../harness.ts";

/** The smallest of every choice. */
const lowest: Random = {
  bytes: (length) => new Uint8Array(length),
  uuid: () => "11111111-1111-4111-8111-111111111111",
};
const highest: Random = { ...lowest, bytes: (length) => new Uint8Array(length).fill(255) };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface FakeStream {
  readonly listener: StreamListener;
  isCancelled: boolean;
}

function follow(addresses = 1) {
  const streams: FakeStream[][] = Array.from({ length: addresses }, () => []);
  const clients = streams.map((opened): ControlClient => {
    return {
      watch(_request: Parameters<ControlClient["watch"]>[0] & Partial<typeof WatchConfigRequestSchema>, listener) {
        const stream: FakeStream = { listener, isCancelled: false };
        opened.push(stream);
        return {
          cancel() {
            stream.isCancelled = true;
          },
        };
      },
      reportStatus: async () => false,
      rotateCredential: async () => undefined,
      reportUsage: async () => undefined,
      joinProxy: () => Promise.reject(new Error("not here")),
      close: () => undefined,
    };
  });
  const clock = fakeClock();
  const random = { ...lowest };
  const log = pino({ level: "silent" });
  const sources = new JwksSources({ fetchJson: () => Promise.reject(new Error("no")), clock, log });
  const receiver = new ConfigReceiver(new CompiledLinks(sources), clock);
  const meter = { received: vi.fn(), applied: vi.fn(), resync: vi.fn(), diskFailed: vi.fn() };
  const base = { onRefused: vi.fn(), clients, receiver, proxyVersion: "1", clock, random, log, meter };
  const subscriber = new ConfigSubscriber({ ...base, onApplied: () => undefined, onConnected: () => undefined });
  subscriber.start();
  return { streams, subscriber, random };
}

const hello = (heartbeatMs: number) =>
  create(WatchConfigResponseSchema, {
    event: {
      case: "hello",
      value: {
        mode: Hello_Mode.SNAPSHOT,
        fleetKey: new Uint8Array(32),
        heartbeatInterval: durationFromMs(heartbeatMs),
      },
    },
  });

test("a stream that shows no sign of life for three heartbeats is given up", async () => {
  const { streams, subscriber } = follow();
  const [first] = streams[0]!;
  first?.listener.onEvent(hello(1000));
  expect(subscriber.status().isConnected).toBe(true);
  await vi.advanceTimersByTimeAsync(2_999);
  expect(first?.isCancelled).toBe(false);
  await vi.advanceTimersByTimeAsync(2);
  expect([first?.isCancelled, subscriber.status().isConnected]).toEqual([true, false]);
  await vi.advanceTimersByTimeAsync(500);
  expect(streams[0]).toHaveLength(2);
});

test("a control plane that never greets is given up", async () => {
  const { streams } = follow(2);
  await vi.advanceTimersByTimeAsync(10_600);
  expect(streams[0]?.[0]?.isCancelled).toBe(true);
  expect(streams[1]).toHaveLength(1);
});

test("a replica that drains is left within the time it names", async () => {
  const { streams } = follow(2);
  const [first] = streams[0]!;
  first?.listener.onEvent(hello(10_000));
  const reconnectWithin = durationFromMs(5_000);
  first?.listener.onEvent(create(WatchConfigResponseSchema, { event: { case: "drain", value: { reconnectWithin } } }));
  await vi.advanceTimersByTimeAsync(5_000);
  expect([first?.isCancelled, streams[1]?.length]).toEqual([true, 1]);
});

test("what comes after the word that it drains does not keep a proxy at a replica", async () => {
  const { streams } = follow(2);
  const [first] = streams[0]!;
  void first?.listener.onEvent(hello(10_000));
  const reconnectWithin = durationFromMs(5_000);
  void first?.listener.onEvent(
    create(WatchConfigResponseSchema, { event: { case: "drain", value: { reconnectWithin } } }),
  );
  void first?.listener.onEvent(create(WatchConfigResponseSchema, { event: { case: "heartbeat", value: {} } }));
  await vi.advanceTimersByTimeAsync(5_000);
  expect([first?.isCancelled, streams[1]?.length]).toEqual([true, 1]);
});

test("a snapshot that is refused each time is asked for after longer and longer pauses", async () => {
  const { streams, random } = follow();
  random.bytes = highest.bytes;
  const part = create(WatchConfigResponseSchema, { event: { case: "snapshot", value: { last: false } } });
  const lie = create(WatchConfigResponseSchema, {
    event: { case: "snapshot", value: { index: 1, last: true, totalResources: 9n } },
  });
  const pausesMs: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const open = streams[0]!;
    for (const event of [hello(10_000), part, lie]) void open.at(-1)?.listener.onEvent(event);
    const before = open.length;
    let ms = 0;
    for (; open.length === before; ms += 100) await vi.advanceTimersByTimeAsync(100);
    pausesMs.push(ms);
  }
  expect(pausesMs).toEqual([1_000, 2_000, 4_000, 8_000]);
});

test("after stop nothing is tried again", async () => {
  const { streams, subscriber } = follow();
  subscriber.stop();
  streams[0]?.[0]?.listener.onEnd(new Error("gone"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams[0]).toHaveLength(1);
});

test("the pause before reconnecting is anything from half a second to a bound that doubles up to 30 s", () => {
  expect([1, 2, 5, 100].map((failures) => backoffMs(failures, lowest))).toEqual([500, 500, 500, 500]);
  expect([1, 2, 3, 6, 100].map((failures) => backoffMs(failures, highest))).toEqual([999, 1999, 3999, 29_999, 29_999]);
});
