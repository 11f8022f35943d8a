import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judgeRefresh, RETRY_WINDOW_MS } from "../../server/src/policy/refresh.ts";

const ROTATED_MS = 1_000_000;
const state = { counter: 5, rotateTimeMs: ROTATED_MS, attemptId: "a1" };
const at = (counter: number, afterMs: number, attemptId = "") =>
  judgeRefresh(state, { counter, attemptId }, ROTATED_MS + afterMs);

describe("a presented refresh token", () => {
  test.each<[what: string, counter: number, afterMs: number, attemptId: string, verdict: string]>([
    ["the current one", 5, 0, "", "rotate"],
    ["the current one, much later", 5, 1e9, "", "rotate"],
    ["the one before, at once", 4, 0, "", "again"],
    ["the one before, at the window's end", 4, RETRY_WINDOW_MS, "", "again"],
    ["the one before, after the window", 4, RETRY_WINDOW_MS + 1, "", "reuse"],
    ["the one before, by a clock put back as far", 4, -RETRY_WINDOW_MS, "", "again"],
    ["the one before, by a clock put back further", 4, -RETRY_WINDOW_MS - 1, "", "reuse"],
    ["the one before, after the window, with the attempt's id", 4, 1e9, "a1", "again"],
    ["the one before, after the window, with another id", 4, 1e9, "a2", "reuse"],
    ["an older one inside the window", 3, 0, "", "reuse"],
    ["an older one with the attempt's id", 3, 0, "a1", "reuse"],
    ["one that was never given out", 6, 0, "a1", "unknown"],
  ])("%s", (_what, counter, afterMs, attemptId, verdict) => {
    expect(at(counter, afterMs, attemptId)).toBe(verdict);
  });

  test("no id is no attempt's id", () => {
    expect(judgeRefresh({ ...state, attemptId: "" }, { counter: 4, attemptId: "" }, ROTATED_MS + 1e9)).toBe("reuse");
  });

  test("S20: whatever is presented in whatever order, only the current one makes a successor, and each makes one", () => {
    const step = fc.record({
      back: fc.integer({ min: -1, max: 4 }),
      waitMs: fc.integer({ min: 0, max: 60_000 }),
      id: fc.constantFrom("", "x", "y"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 0;
        let session = { counter: 0, rotateTimeMs: undefined as number | undefined, attemptId: "" };
        const successorsOf = new Map<number, number>();
        for (const { back, waitMs, id } of steps) {
          nowMs += waitMs;
          const counter = session.counter - back;
          if (counter < 0) continue;
          const verdict = judgeRefresh(session, { counter, attemptId: id }, nowMs);
          if (verdict === "reuse") break;
          if (verdict !== "rotate") continue;
          successorsOf.set(counter, (successorsOf.get(counter) ?? 0) + 1);
          session = { counter: counter + 1, rotateTimeMs: nowMs, attemptId: id };
        }
        expect([...successorsOf.values()].every((count) => count === 1)).toBe(true);
      }),
    );
  });
});
