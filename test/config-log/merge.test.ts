import { expect, test } from "vitest";
import { mergeTransactions } from "../../server/src/config-log/merge.ts";
import { createRing, type Frame } from "../../server/src/config-log/ring.ts";

const digest = (value: number) => new Uint8Array(32).fill(value);
const entry = (name: string, version: bigint, value?: string) => ({
  ...{ kind: "secret" as const, name, version },
  payload: value === undefined ? undefined : Buffer.from(value),
});
const transaction = (sequence: bigint, ...entries: ReturnType<typeof entry>[]) => ({
  ...{ sequence, digest: digest(Number(sequence)), entries },
  commitTime: new Date(Number(sequence)),
});

test("several transactions as one: the last change of each resource, from before the first to after the last", () => {
  const merged = mergeTransactions([
    transaction(5n, entry("a", 1n, "1"), entry("b", 1n, "1")),
    transaction(6n, entry("a", 2n)),
    transaction(7n, entry("c", 3n, "1"), entry("a", 3n, "2")),
  ]);
  expect(merged).toMatchObject({ from: 4n, sequence: 7n, digest: digest(7), commitTime: new Date(5) });
  expect(merged.entries.map(({ name, version }) => [name, version])).toEqual([
    ["b", 1n],
    ["c", 3n],
    ["a", 3n],
  ]);
});

const frame = (sequence: bigint, length = 10): Frame => ({
  sequence,
  digest: digest(1),
  bytes: new Uint8Array(length),
});

test("a ring leads a reader at the start of joined frames past them, one in the middle along them, and forgets both", () => {
  const ring = createRing({ sequence: 0n, digest: digest(0) }, { bytesMax: 1_000, framesMax: 3 });
  for (const sequence of [1n, 2n, 3n]) ring.push(frame(sequence));
  ring.join(0n, frame(3n));
  expect(ring.after(0n)?.sequence).toBe(3n);
  expect(ring.after(1n)?.sequence).toBe(2n);
  ring.push(frame(4n));
  expect([ring.base().sequence, ring.after(0n), ring.after(1n)?.sequence]).toEqual([1n, undefined, 2n]);
  ring.join(0n, frame(3n));
  expect(ring.after(0n)).toBeUndefined();
});

test("joined frames count towards the ring's bytes", () => {
  const ring = createRing({ sequence: 0n, digest: digest(0) }, { bytesMax: 100, framesMax: 100 });
  for (const sequence of [1n, 2n, 3n]) ring.push(frame(sequence));
  ring.join(0n, frame(3n, 75));
  expect(ring.base().sequence).toBe(1n);
  for (let sequence = 4n; sequence < 12n; sequence += 1n) ring.push(frame(sequence));
  expect(ring.base().sequence).toBe(1n);
});
