import { ConduitError } from "../model/errors.ts";

/** Lets so many through at once, in the order they came. */
export interface Admission {
  /** Throws `rate_limited` with a retry hint when as many wait as may. Before a caller is told anything. */
  requireRoom(): void;
  /**
   * Resolves when it is the caller's turn, with what ends it (to be called once; more do nothing).
   * @throws ConduitError `rate_limited` after `waitMaxMs`; the signal's reason when it aborts
   */
  enter(signal: AbortSignal): Promise<() => void>;
}

export interface AdmissionLimits {
  readonly atOnce: number;
  readonly waitingMax: number;
  readonly waitMaxMs: number;
}

/**
 * For snapshots: a thousand proxies that start together share the copies in memory, and must not fill a thousand socket
 * buffers at once. The wait ends before a client's watchdog (three heartbeats) would end it.
 */
export const SNAPSHOT_ADMISSION: AdmissionLimits = { atOnce: 16, waitingMax: 2_000, waitMaxMs: 20_000 };

/** Seconds after which a refused caller may come again; clients spread themselves over more by their own jitter. */
const RETRY_AFTER_S = 5;

export function createAdmission({ atOnce, waitingMax, waitMaxMs }: AdmissionLimits = SNAPSHOT_ADMISSION): Admission {
  const waiting = new Set<() => void>();
  let inside = 0;

  const refusal = (): ConduitError =>
    new ConduitError("rate_limited", {
      detail: "Too many proxies ask for the whole configuration at once: come again",
      retryAfterSeconds: RETRY_AFTER_S,
    });

  function once(): () => void {
    let isInside = true;
    inside += 1;
    return () => {
      if (!isInside) return;
      isInside = false;
      inside -= 1;
      const [next] = waiting;
      next?.();
    };
  }

  function turn(signal: AbortSignal): Promise<() => void> {
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    const settle = (act: () => void) => {
      waiting.delete(begin);
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      act();
    };
    const begin = () => settle(() => resolve(once()));
    const abort = () => settle(() => reject(signal.reason));
    const timer = setTimeout(() => settle(() => reject(refusal())), waitMaxMs);
    timer.unref();
    signal.addEventListener("abort", abort, { once: true });
    waiting.add(begin);
    return promise;
  }

  return {
    requireRoom() {
      if (inside >= atOnce && waiting.size >= waitingMax) throw refusal();
    },
    async enter(signal) {
      signal.throwIfAborted();
      return inside < atOnce ? once() : turn(signal);
    },
  };
}
