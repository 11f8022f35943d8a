import type { Log } from "../log.ts";
import { type ProxyStatus, recordProxyStatus } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";

/** What the proxies said last, before it is in the database. */
export interface ProxyStatuses {
  /** @param id of the proxy */
  report(id: string, status: ProxyStatus): void;
  /** What is not written yet. */
  pending(id: string): ProxyStatus | undefined;
  /** Writes what is pending now. */
  flush(): Promise<void>;
}

/** Ten thousand proxies that follow one change report within a second: one transaction, not ten thousand. */
const FLUSH_DELAY_MS = 1_000;

/** Keeps reports in memory, the latest of each proxy, and writes them about a second after the first. */
export function createProxyStatuses(store: Store, log: Log): ProxyStatuses {
  const waiting = new Map<string, ProxyStatus>();
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = [...waiting].sort(([a], [b]) => (a < b ? -1 : 1));
    if (batch.length === 0) return;
    try {
      await store.transaction(async (tx) => {
        for (const [id, status] of batch) await recordProxyStatus(tx, id, status);
      });
      for (const [id, status] of batch) if (waiting.get(id) === status) waiting.delete(id);
    } catch (err) {
      // Status is told again with every change: nothing is lost that matters.
      log.warn({ err }, "the proxies' status could not be written");
    }
    if (waiting.size > 0) schedule();
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), FLUSH_DELAY_MS).unref();
  }

  return {
    report(id, status) {
      waiting.set(id, status);
      schedule();
    },
    pending: (id) => waiting.get(id),
    flush,
  };
}
