// How old a configuration is: by proofs, on the monotonic clock.
import { expect, test } from "vitest";
import { Currency } from "../../../server/src/proxy/config/currency.ts";

function currency() {
  const time = { wallMs: 1_000_000, monotonicMs: 5_000 };
  const it = new Currency({ now: () => time.wallMs, monotonic: () => time.monotonicMs });
  const pass = (ms: number) => {
    time.wallMs += ms;
    time.monotonicMs += ms;
  };
  return { it, time, pass };
}

test("without any proof it is infinitely old", () => {
  expect(currency().it.ageMs()).toBe(Number.POSITIVE_INFINITY);
});

test("a whole state that is the head proves it, one behind the head does not", () => {
  const { it, pass } = currency();
  it.headIs(9n);
  it.appliedUpTo(7n);
  expect([it.ageMs(), it.lagSequences()]).toEqual([Number.POSITIVE_INFINITY, 2]);
  it.appliedUpTo(9n);
  pass(40);
  expect([it.ageMs(), it.lagSequences()]).toEqual([40, 0]);
});

test("a change proves it as of its commit, and never makes it older", () => {
  const { it, time, pass } = currency();
  it.delta(1n, time.wallMs - 300);
  expect([it.ageMs(), it.delayMs()]).toEqual([300, 300]);
  it.delta(2n, time.wallMs - 9_000);
  expect(it.ageMs()).toBe(300);
  // The control plane's clock is ahead.
  it.delta(3n, time.wallMs + 50_000);
  expect([it.ageMs(), it.delayMs()]).toEqual([0, 0]);
  pass(10);
  expect(it.ageMs()).toBe(10);
});

test.each([86_400_000, -86_400_000])(
  "a wall clock that jumps by %d ms makes it neither older nor younger",
  (jumpMs) => {
    const { it, time, pass } = currency();
    it.proven();
    time.wallMs += jumpMs;
    pass(20);
    expect(it.ageMs()).toBe(20);
    expect(it.provenTimeMs()).toBe(time.wallMs - 20);
  },
);

test("from disk it counts by the wall clock; a proof of the future counts as now", () => {
  const { it, time } = currency();
  it.restored(4n, time.wallMs - 7_000);
  expect(it.ageMs()).toBe(7_000);
  it.restored(4n, time.wallMs + 7_000);
  expect(it.ageMs()).toBe(0);
  it.restored(4n, 0);
  expect(it.ageMs()).toBe(time.wallMs);
});
