import { setImmediate as nextTurn } from "node:timers/promises";

/** Callers of one round at most. */
const ROUND_MAX = 200;

interface Waiting<Wish, Result> {
  readonly wish: Wish;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Calls that come in one turn of the event loop, or while a round is under way, share the next one: nobody waits longer than
 * for the one before, and a busy replica asks the database once where it would have asked many times. Nothing is remembered: a round begins after each
 * of its callers has asked, so that what was revoked before that is never found.
 * @param round does all of it at once; what it throws, each of its callers gets
 */
export function groupCalls<Wish, Result>(
  round: (wishes: readonly Wish[]) => Promise<Result>,
): (wish: Wish) => Promise<Result> {
  const waiting: Array<Waiting<Wish, Result>> = [];
  let isBusy = false;

  async function run(callers: ReadonlyArray<Waiting<Wish, Result>>): Promise<void> {
    try {
      const result = await round(callers.map(({ wish }) => wish));
      for (const { resolve } of callers) resolve(result);
    } catch (error) {
      for (const { reject } of callers) reject(error);
    }
  }

  async function drain(): Promise<void> {
    isBusy = true;
    while (waiting.length > 0) {
      // The calls of one packet are read one after the other.
      await nextTurn();
      await run(waiting.splice(0, ROUND_MAX));
    }
    isBusy = false;
  }

  return (wish) =>
    new Promise((resolve, reject) => {
      waiting.push({ wish, resolve, reject });
      if (!isBusy) void drain();
    });
}
