import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createAdmission } from "../../server/src/config-log/admission.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LIMITS = { atOnce: 2, waitingMax: 2, waitMaxMs: 1_000 };
const open = () => new AbortController().signal;

test("so many are let in at once, the others in the order they came, and nobody twice for one who leaves", async () => {
  const admission = createAdmission(LIMITS);
  const [first, second] = [await admission.enter(open()), await admission.enter(open())];
  const entered: string[] = [];
  const note = (who: string) => (leave: () => void) => {
    entered.push(who);
    return leave;
  };
  const third = admission.enter(open()).then(note("third"));
  const fourth = admission.enter(open()).then(note("fourth"));
  expect(() => admission.requireRoom()).toThrow(
    expect.objectContaining({ code: "rate_limited", retryAfterSeconds: 5 }),
  );
  first();
  first();
  (await third)();
  await fourth;
  second();
  expect(entered).toEqual(["third", "fourth"]);
  expect(() => admission.requireRoom()).not.toThrow();
});

test("who waits too long is told to come again, who has gone is forgotten: neither holds a place", async () => {
  const admission = createAdmission({ ...LIMITS, atOnce: 1 });
  const leave = await admission.enter(open());
  const tooLong = expect(admission.enter(open())).rejects.toMatchObject({ code: "rate_limited" });
  const ending = new AbortController();
  const gone = expect(admission.enter(ending.signal)).rejects.toThrow("gone");
  ending.abort(new Error("gone"));
  await gone;
  vi.advanceTimersByTime(1_000);
  await tooLong;
  leave();
  (await admission.enter(open()))();
  await expect(admission.enter(ending.signal)).rejects.toThrow("gone");
});
