import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { noteKeyUse } from "../store/api-keys.ts";
import type { Store } from "../store/store.ts";

/** Keeps when keys were used last. */
export interface KeyUse {
  /** @param keyHash SHA-256 of the key that was shown */
  used(keyHash: string): void;
  /** Writes what is pending now. */
  flush(): Promise<void>;
}

/** A call must not wait for a write, nor each make one: times are that coarse. */
const FLUSH_DELAY_MS = 10_000;

/** Notes uses in memory and writes them together, about ten seconds after the first. */
export function createKeyUse(store: Store, clock: Clock, log: Log): KeyUse {
  let waiting = new Map<string, Date>();
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = new Map();
    if (batch.size === 0) return;
    try {
      // In one order: two replicas that write the same keys must not wait for each other.
      const sorted = [...batch].sort(([a], [b]) => (a < b ? -1 : 1));
      await store.transaction(async (tx) => {
        for (const [keyHash, time] of sorted) await noteKeyUse(tx, keyHash, time);
      });
    } catch (err) {
      // Told again with the next use.
      log.warn({ err }, "when API keys were used could not be written");
    }
  }

  return {
    used(keyHash) {
      waiting.set(keyHash, new Date(clock.now()));
      timer ??= setTimeout(() => void flush(), FLUSH_DELAY_MS).unref();
    },
    flush,
  };
}
