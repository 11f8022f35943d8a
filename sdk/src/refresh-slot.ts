import { abortReason } from "./abort.ts";
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
export interface RefreshSlot<T> {
  /** The flight under way. One older than the limit is given up first. */
  current(): Flight<T> | undefined;
  /** Starts a flight in the empty slot. */
  start(): Flight<T>;
  /** Waits for a flight, with this waiter's own deadline and signal: leaving does not end the flight. */
  wait(flight: Flight<T>, signal?: AbortSignal | null): Promise<T>;
}

/** Makes an empty slot. `timeoutMs` bounds each flight, and each wait for it. */
export function createRefreshSlot<T>(platform: Platform, timeoutMs: number): RefreshSlot<T> {
  let current: Flight<T> | undefined;
  const timeout = () => new ConduitError("refresh_timeout", `getToken did not answer within ${timeoutMs} ms`);
  const leftMs = (flight: Flight<T>) => flight.startedAtMs + timeoutMs - platform.monotonic();

  return {
    current() {
      if (current && leftMs(current) <= 0) current.reject(timeout());
      return current;
    },
    start() {
      const flight = createFlight<T>(platform.monotonic(), () => {
        cancelTimer();
        // Only its own slot: a flight that was given up must not clear its successor.
        if (current === flight) current = undefined;
      });
      const cancelTimer = platform.setTimer(timeoutMs, () => flight.reject(timeout()));
      current = flight;
      return flight;
    },
    wait(flight, signal) {
      if (signal?.aborted) return Promise.reject(abortReason(signal));
      flight.waiters++;
      return new Promise<T>((resolve, reject) => {
        const leave = () => {
          cancelTimer();
          signal?.removeEventListener("abort", onAbort);
        };
        const onAbort = () => {
          leave();
          reject(signal && abortReason(signal));
        };
        // The waiter's own timer, because the flight's may belong to a request that is gone; it keeps a process alive, for someone waits.
        const cancelTimer = platform.setTimer(
          Math.max(leftMs(flight), 0),
          () => {
            leave();
            reject(timeout());
          },
          true,
        );
        signal?.addEventListener("abort", onAbort);
        flight.promise.finally(leave).then(resolve, reject);
      });
    },
  };
}

function createFlight<T>(startedAtMs: number, close: () => void): Flight<T> {
  const controller = new AbortController();
  let settle: { resolve(value: T): void; reject(error: unknown): void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // A flight nobody waits for may fail without being an unhandled rejection.
  promise.catch(() => {});
  const end = () => {
    close();
    controller.abort();
  };
  return {
    promise,
    startedAtMs,
    waiters: 0,
    signal: controller.signal,
    resolve(value) {
      end();
      settle?.resolve(value);
    },
    reject(error) {
      end();
      settle?.reject(error);
    },
  };
}
