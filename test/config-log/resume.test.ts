import { describe, expect, test } from "vitest";
import { createBell } from "../../server/src/config-log/bell.ts";
import { type ConfigCursor, type LogView, reasonForSnapshot } from "../../server/src/config-log/resume.ts";
import { createRing, type Frame } from "../../server/src/config-log/ring.ts";

const digest = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const frame = (sequence: number, size = 10): Frame => ({
  sequence: BigInt(sequence),
  digest: digest(sequence),
  bytes: new Uint8Array(size),
});
const ringOf = (base: number, head: number, limits = { bytesMax: 1_000, framesMax: 100 }) => {
  const ring = createRing({ sequence: BigInt(base), digest: digest(base) }, limits);
  for (let sequence = base + 1; sequence <= head; sequence += 1) ring.push(frame(sequence));
  return ring;
};

describe("the ring", () => {
  test("hands out each frame after the one before, and nothing beyond its end", () => {
    const ring = ringOf(5, 8);
    expect([5n, 6n, 7n, 8n].map((after) => ring.after(after)?.sequence)).toEqual([6n, 7n, 8n, undefined]);
    expect(ring.after(4n)).toBeUndefined();
    expect([ring.base().sequence, ring.head().sequence]).toEqual([5n, 8n]);
    expect([4n, 5n, 8n, 9n].map((at) => ring.digestAt(at)?.[0])).toEqual([undefined, 5, 8, undefined]);
  });

  test.each([4, 6, 3])("refuses frame %d after 4: a hole, a repetition or a step back", (sequence) => {
    const act = () => ringOf(2, 4).push(frame(sequence));
    if (sequence === 5) act();
    else expect(act).toThrow(TypeError);
  });

  test("holds no more frames and bytes than it may, and knows where it begins then", () => {
    const byCount = ringOf(0, 50, { bytesMax: 1_000_000, framesMax: 20 });
    expect([byCount.base().sequence, byCount.digestAt(30n)?.[0], byCount.after(29n)]).toEqual([30n, 30, undefined]);
    const byBytes = ringOf(0, 50, { bytesMax: 95, framesMax: 1_000 });
    expect([byBytes.base().sequence, byBytes.head().sequence]).toEqual([41n, 50n]);
    const oneLarge = ringOf(0, 3, { bytesMax: 5, framesMax: 10 });
    expect([oneLarge.base().sequence, oneLarge.after(2n)]).toEqual([3n, undefined]);
  });
});

describe("a cursor", () => {
  const log: LogView = { epoch: "e1", compactedSequence: 3n, ring: ringOf(5, 10) };
  const cursor = (sequence: number, change: Partial<ConfigCursor> = {}): ConfigCursor => ({
    epoch: "e1",
    sequence: BigInt(sequence),
    digest: digest(sequence),
    ...change,
  });

  test.each([
    ["goes on from the end", cursor(10), undefined],
    ["goes on from the ring's beginning", cursor(5), undefined],
    ["goes on from between", cursor(7), undefined],
    ["that is none starts cold", undefined, "cold_start"],
    ["without an epoch starts cold", cursor(0, { epoch: "" }), "cold_start"],
    ["of another history", cursor(7, { epoch: "e0" }), "epoch_changed"],
    ["of another history is told so whatever its sequence", cursor(99, { epoch: "e0" }), "epoch_changed"],
    ["ahead of the log", cursor(11), "client_ahead"],
    ["older than the log", cursor(2), "compacted"],
    ["older than the ring", cursor(4), "too_far_behind"],
    ["with another state", cursor(7, { digest: digest(8) }), "digest_mismatch"],
    ["with a short digest", cursor(7, { digest: new Uint8Array() }), "digest_mismatch"],
  ])("%s", (_name, given, reason) => {
    expect(reasonForSnapshot(given, log)).toBe(reason);
  });
});

describe("the bell", () => {
  test("wakes all who wait, once, and those whose stream ends", async () => {
    const bell = createBell();
    const open = new AbortController().signal;
    const ending = new AbortController();
    const woken: string[] = [];
    const waits = [
      bell.wait(open).then(() => woken.push("a")),
      bell.wait(open).then(() => woken.push("b")),
      bell.wait(ending.signal).then(() => woken.push("c")),
    ];
    ending.abort();
    await waits[2];
    expect(woken).toEqual(["c"]);
    bell.ring();
    await Promise.all(waits);
    expect(woken).toEqual(["c", "a", "b"]);
    await bell.wait(ending.signal);
  });
});
