// When a proxy says what it has applied: at once, then with a rest in between, and now and then without being changed.
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ControlClient } from "../../../server/src/proxy/config/control-client.ts";
import { StatusReporter } from "../../../server/src/proxy/config/status-reporter.ts";
import { systemRandom } from "../../../server/src/random.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function start() {
  const state = { sequence: 1n, rejected: [] as { name: string; version: string; message: string }[] };
  const sent: bigint[] = [];
  const reportStatus: ControlClient["reportStatus"] = async ({ applied }) => {
    sent.push(applied!.sequence!);
    return false;
  };
  const effects = { log: pino({ level: "silent" }), random: systemRandom };
  const reporter = new StatusReporter("1", effects, () => ({
    ...{ cursor: { epoch: "e", sequence: state.sequence, digest: new Uint8Array(32) }, issuerKeys: [] },
    rejected: state.rejected,
  }));
  reporter.reportTo({ reportStatus } as ControlClient);
  const change = () => {
    state.sequence += 1n;
    reporter.stateChanged();
  };
  return { state, sent, reporter, change };
}

test("the first change is told within 50 ms, those that follow together a second later", async () => {
  const { sent, change } = start();
  await vi.advanceTimersByTimeAsync(50);
  expect(sent).toEqual([1n]);
  for (let count = 0; count < 5; count += 1) change();
  await vi.advanceTimersByTimeAsync(900);
  expect(sent).toEqual([1n]);
  await vi.advanceTimersByTimeAsync(150);
  expect(sent).toEqual([1n, 6n]);
});

test("what cannot be applied is told at once, also while it rests", async () => {
  const { state, sent, change } = start();
  await vi.advanceTimersByTimeAsync(100);
  state.rejected = [{ name: "projects/p/links/l", version: "2", message: "no" }];
  change();
  await vi.advanceTimersByTimeAsync(0);
  expect(sent).toEqual([1n, 2n]);
});

test("a proxy without anything new gives a sign of life every ten seconds, and none once it is stopped", async () => {
  const { sent, reporter } = start();
  await vi.advanceTimersByTimeAsync(30_500);
  expect(sent).toEqual([1n, 1n, 1n, 1n]);
  reporter.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toHaveLength(4);
});
