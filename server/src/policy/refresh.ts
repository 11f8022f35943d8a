/** An answer that was lost may be asked for again so long after the rotation, without more ado. */
export const RETRY_WINDOW_MS = 30_000;

/** What of a session decides. Times are milliseconds since the epoch. */
export interface RefreshState {
  /** Number of the current refresh token. */
  readonly counter: number;
  /** When the current one replaced the one before; undefined = it is the first. */
  readonly rotateTimeMs: number | undefined;
  /** `attempt_id` of the call that did it; "" = it had none. */
  readonly attemptId: string;
}

/** What a refresh token was presented as. */
export interface PresentedRefresh {
  readonly counter: number;
  /** "" = none. */
  readonly attemptId: string;
}

/**
 * - `rotate`: the current one; the next takes its place.
 * - `again`: the one before, whose answer may have been lost; the current one is answered again.
 * - `reuse`: it was used before, by its owner or a thief: nobody can tell, so the session ends (RFC 9700 4.14.2).
 * - `unknown`: there was no such token yet.
 */
export type RefreshVerdict = "rotate" | "again" | "reuse" | "unknown";

/**
 * What to do with a refresh token whose MAC is right (design.md 6). The current one has not been used when the one before
 * it is presented: its use would have made it the one before. So a retry by `attempt_id` is safe at any later time.
 */
export function judgeRefresh(
  state: RefreshState,
  { counter, attemptId }: PresentedRefresh,
  nowMs: number,
): RefreshVerdict {
  if (counter > state.counter) return "unknown";
  if (counter === state.counter) return "rotate";
  if (counter < state.counter - 1) return "reuse";
  // In both directions: a clock that was put back by a day would leave the window open for that day.
  const isInWindow = state.rotateTimeMs !== undefined && Math.abs(nowMs - state.rotateTimeMs) <= RETRY_WINDOW_MS;
  const isSameAttempt = attemptId !== "" && attemptId === state.attemptId;
  return isInWindow || isSameAttempt ? "again" : "reuse";
}
