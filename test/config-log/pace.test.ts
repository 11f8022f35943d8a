import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { createPace } from "../../server/src/config-log/pace.ts";

test("nobody sends: the log is read on at once; somebody does: when it is done, or after 20 ms", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const pace = createPace();
  await pace.sent();
  const [one, other] = [pace.sending(), pace.sending()];
  const seen: string[] = [];
  const waiting = pace.sent().then(() => seen.push("sent"));
  one();
  one();
  await nextTurn();
  await nextTurn();
  expect(seen).toEqual([]);
  other();
  await waiting;
  const stuck = pace.sending();
  const late = pace.sent().then(() => seen.push("late"));
  await nextTurn();
  vi.advanceTimersByTime(19);
  await nextTurn();
  expect(seen).toEqual(["sent"]);
  vi.advanceTimersByTime(1);
  await late;
  stuck();
  vi.useRealTimers();
});
