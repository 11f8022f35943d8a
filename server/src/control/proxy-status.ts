import { createBell } from "../config-log/bell.ts";
import type { Log } from "../log.ts";
import { type ProxyStatus, recordProxyStatuses } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";

/** What the proxies said last to this replica. */
export interface ProxyStatuses {
  /** @param id of the proxy */
  report(id: string, status: ProxyStatus): void;
  /** The last report, written or not; undefined = there was none within the last minute. May be older than the row's. */
  latest(id: string): ProxyStatus | undefined;
  /** Resolves at the next report of any proxy, or when the signal aborts. */
  nextReport(signal: AbortSignal): Promise<void>;
  /** Writes what is pending now. */
  flush(): Promise<void>;
}

/** Ten thousand proxies that follow one change report within a second: one transaction, not ten thousand. */
const FLUSH_DELAY_MS = 1_000;
/** Reports that are written are remembered for so long: a reader may have read the rows before they were. */
const REMEMBERED_MS = 60_000;

/** Keeps reports in memory, the latest of each proxy, and writes them about a second after the first. */
export function createProxyStatuses(store: Store, log: Log): ProxyStatuses {
  const reports = new Map<string, ProxyStatus>();
  const waiting = new Map<string, ProxyStatus>();
  const bell = createBell();
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = new Map(waiting);
    if (batch.size === 0) return;
    try {
      await store.transaction((tx) => recordProxyStatuses(tx, batch));
      for (const [id, status] of batch) if (waiting.get(id) === status) waiting.delete(id);
      forgetOld(Math.max(...[...batch.values()].map(({ lastSeenTime }) => lastSeenTime.getTime())));
    } catch (err) {
      // Status is told again every few seconds: nothing is lost that matters.
      log.warn({ err }, "the proxies' status could not be written");
    }
    if (waiting.size > 0) schedule();
  }

  function forgetOld(nowMs: number): void {
    for (const [id, { lastSeenTime }] of reports)
      if (nowMs - lastSeenTime.getTime() > REMEMBERED_MS && !waiting.has(id)) reports.delete(id);
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), FLUSH_DELAY_MS).unref();
  }

  return {
    report(id, status) {
      reports.set(id, status);
      waiting.set(id, status);
      schedule();
      bell.ring();
    },
    latest: (id) => reports.get(id),
    nextReport: (signal) => bell.wait(signal),
    flush,
  };
}

/** A row with what this replica was told later than it was written. */
export function withLatest<Row extends { readonly id: string; readonly lastSeenTime: Date | null }>(
  row: Row,
  statuses: Pick<ProxyStatuses, "latest">,
): Row {
  const latest = statuses.latest(row.id);
  const isLater = latest !== undefined && latest.lastSeenTime.getTime() >= (row.lastSeenTime?.getTime() ?? 0);
  return isLater ? { ...row, ...latest } : row;
}
