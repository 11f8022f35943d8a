import type { Clock } from "../clock.ts";
import { getConfigHead, knownHead } from "../store/config-head.ts";
import { compactConfigLog, lastSequenceBefore } from "../store/config-log.ts";
import type { Store } from "../store/store.ts";

/** The log keeps at least this much, whichever is more: a proxy that was away for shorter resumes without a snapshot. */
export interface Retention {
  readonly ageMs: number;
  readonly transactions: bigint;
}

export const LOG_RETENTION: Retention = { ageMs: 7 * 24 * 3_600_000, transactions: 100_000n };

/** Transactions forgotten at once, so that no lock is held for long. */
const BATCH = 5_000n;

/** Forgets what is older than the log must keep. Any number of replicas may do it at once. */
export async function compactLog(store: Store, clock: Clock, retention: Retention = LOG_RETENTION): Promise<void> {
  const before = new Date(clock.now() - retention.ageMs);
  const [head, old] = await store.read(async (reader) => [
    knownHead(await getConfigHead(reader)),
    await lastSequenceBefore(reader, before),
  ]);
  const end = smaller(old, head.sequence - retention.transactions);
  let done = head.compactedSequence;
  while (done < end) {
    const upTo = smaller(done + BATCH, end);
    await store.transaction((tx) => compactConfigLog(tx, upTo));
    done = upTo;
  }
}

/** Math.min does not take bigints. */
function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}
