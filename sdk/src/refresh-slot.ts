import { within } from "./abort.ts";
import { ConduitError } from "./errors.ts";
import type { Platform } from "./platform.ts";

/** One call under way that any number of callers wait for. */
export interface Flight<T> {
  readonly promise: Promise<T>;
  readonly startedAtMs: number;
  /** Callers that have waited for it so far. */
  waiters: number;
  /** Aborted when the flight ends, however it ends. */
  readonly signal: AbortSignal;
  /** End the flight. The first end counts; the slot is free before any waiter hears of it. */
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * At most one call at a time, for a limited time. The limit is the point: on edge workers a promise begun by a request that has ended
 * never settles, and a slot without a limit would make every later caller wait for it for ever.
 */
export interface RefreshSlot<T extends object> {
  /** The flight under way. One older than the limit is given up first. */
  current(): Flight<T> | undefined;
  /** Starts a flight in the empty slot. */
  start(): Flight<T>;
  /** Waits for a flight, with this waiter's own deadline and signal: leaving does not end the flight. */
  wait(flight: Flight<T>, signal?: AbortSignal | null): Promise<T>;
}

/** Makes an empty slot. `timeoutMs` bounds each flight, and each wait for it. */
export function createRefreshSlot<T extends object>(platform: Platform, timeoutMs: number): RefreshSlot<T> {
  let current: Flight<T> | undefined;
  const timeout = () => new ConduitError("refresh_timeout", "getToken timed out");
  const leftMs = (flight: Flight<T>) => flight.startedAtMs + timeoutMs - platform.monotonic();

  return {
    current() {
      if (current && leftMs(current) <= 0) current.reject(timeout());
      return current;
    },
    start() {
      const flight = createFlight<T>(platform.monotonic(), () => {
        // Only its own slot: a flight that was given up must not clear its successor.
        if (current === flight) current = undefined;
        cancelTimer();
      });
      const cancelTimer = platform.setTimer(timeoutMs, () => flight.reject(timeout()));
      current = flight;
      return flight;
    },
    wait(flight, signal) {
      flight.waiters++;
      // The waiter's own timer, because the flight's may belong to a request that is gone.
      return within(platform, flight.promise, leftMs(flight), signal).then((value) => {
        if (value === undefined) throw timeout();
        return value;
      });
    },
  };
}

function createFlight<T>(startedAtMs: number, close: () => void): Flight<T> {
  const controller = new AbortController();
  const end =
    <V>(settle: (value: V) => void) =>
    (value: V) => {
      settle(value);
      try {
        close();
        controller.abort();
      } catch {
        // Edge workers let nobody abort what another request has begun, and that request is gone.
      }
    };
  const flight = { startedAtMs, waiters: 0, signal: controller.signal } as Flight<T>;
  const promise = new Promise<T>((resolve, reject) => {
    Object.assign(flight, { resolve: end<T>(resolve), reject: end(reject) });
  });
  // A flight nobody waits for may fail without being an unhandled rejection.
  promise.catch(() => {});
  return Object.assign(flight, { promise });
}
