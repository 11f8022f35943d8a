// A runtime whose clocks and timers stand still until the test moves them.
import type { Platform } from "../../sdk/src/index.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export interface FakePlatform {
  readonly platform: Partial<Platform>;
  /** Every delay a timer was set with. */
  readonly delaysMs: readonly number[];
  /** Timers that are neither due nor cancelled. */
  readonly pendingTimers: number;
  /** Moves both clocks on and runs what falls due, in order; settles promises between timers. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone: somebody set it, or the machine slept. */
  jumpWall(ms: number): void;
  /** The page is shown again. */
  resume(): Promise<void>;
  /** Listeners that wait for the page. */
  readonly resumeListeners: number;
}

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function createFakePlatform(parts: Partial<Platform> = {}): FakePlatform {
  let elapsedMs = 5_000;
  let wallMs = Date.UTC(2026, 10, 25, 12);
  let ids = 0;
  const timers = new Set<Timer>();
  const listeners = new Set<() => void>();
  const delaysMs: number[] = [];

  const nextDue = (untilMs: number) =>
    [...timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
  const moveTo = (toMs: number) => {
    wallMs += toMs - elapsedMs;
    elapsedMs = toMs;
  };
  return {
    delaysMs,
    get pendingTimers() {
      return timers.size;
    },
    get resumeListeners() {
      return listeners.size;
    },
    async advance(ms) {
      const untilMs = elapsedMs + ms;
      await settle();
      for (let due = nextDue(untilMs); due; due = nextDue(untilMs)) {
        timers.delete(due);
        moveTo(Math.max(due.atMs, elapsedMs));
        due.callback();
        await settle();
      }
      moveTo(untilMs);
    },
    jumpWall(ms) {
      wallMs += ms;
    },
    async resume() {
      for (const listener of listeners) listener();
      await settle();
    },
    platform: {
      now: () => wallMs,
      monotonic: () => elapsedMs,
      random: () => 0.5,
      randomId: () => `attempt-${++ids}`,
      setTimer(delayMs, callback) {
        delaysMs.push(delayMs);
        const timer: Timer = { atMs: elapsedMs + delayMs, callback };
        timers.add(timer);
        return () => {
          timers.delete(timer);
        };
      },
      onResume(callback) {
        listeners.add(callback);
        return () => {
          listeners.delete(callback);
        };
      },
      ...parts,
    },
  };
}

/** An unsigned token with these claims: the client reads `exp` and `iat`, it verifies nothing. */
export function fakeJwt(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.c2lnbmF0dXJl`;
}
