import type { Platform } from "../platform.ts";

// Kept as it was when this was loaded: a test may replace the global one later, and `advance` would then wait for ever.
const { setTimeout: realSetTimeout } = globalThis;

/** Clocks and timers that stand still until a test moves them. */
export interface FakeClock {
  /** Goes into `createConduit({ platform: { ...clock.platform } })`. */
  readonly platform: Pick<Platform, "now" | "monotonic" | "random" | "setTimer" | "onResume">;
  /** The wall clock, in ms since 1970. */
  now(): number;
  /** Moves both clocks on and runs the timers that fall due, in their order; what they started has a chance to end before the next. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone: somebody set it, or the machine slept. */
  jumpWallClock(ms: number): void;
  /** The page is shown again, the app comes to the front, the network returns. */
  resume(): Promise<void>;
  /** Timers that are neither due nor cancelled: 0 after `dispose()`. */
  readonly pendingTimers: number;
}

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Makes a clock that shows `startMs` (default 2026-01-01T00:00:00Z). */
export function createFakeClock(startMs = 1_767_225_600_000): FakeClock {
  let wallMs = startMs;
  let elapsedMs = 0;
  const timers = new Set<Timer>();
  const listeners = new Set<() => void>();
  const add = <T>(set: Set<T>, item: T) => {
    set.add(item);
    return () => void set.delete(item);
  };
  const moveTo = (ms: number) => {
    wallMs += ms - elapsedMs;
    elapsedMs = ms;
  };
  const nextDue = (untilMs: number) =>
    [...timers].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
  return {
    platform: {
      now: () => wallMs,
      monotonic: () => elapsedMs,
      random: () => 0.5,
      setTimer: (delayMs, callback) => add(timers, { dueMs: elapsedMs + delayMs, callback }),
      onResume: (callback) => add(listeners, callback),
    },
    now: () => wallMs,
    async advance(ms) {
      const untilMs = elapsedMs + ms;
      await settle();
      for (let due = nextDue(untilMs); due; due = nextDue(untilMs)) {
        timers.delete(due);
        moveTo(Math.max(due.dueMs, elapsedMs));
        due.callback();
        await settle();
      }
      moveTo(untilMs);
    },
    jumpWallClock(ms) {
      wallMs += ms;
    },
    async resume() {
      for (const listener of [...listeners]) listener();
      await settle();
    },
    get pendingTimers() {
      return timers.size;
    },
  };
}

/** Lets promises settle, also those of WebCrypto, which end on another thread: a few turns of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => void realSetTimeout(resolve, 0));
}
