import type { Clock } from "../clock.ts";
import { getConfigHead, knownHead } from "../store/config-head.ts";
import { compactConfigLog, lastSequenceBefore } from "../store/config-log.ts";
import type { Store } from "../store/store.ts";

/** What the log keeps: transactions younger than `ageMs` and the last ones anyhow, but never more than so many. */
export interface Retention {
  readonly ageMs: number;
  readonly transactionsMin: bigint;
  readonly transactionsMax: bigint;
}

/** Replicas that stood still go on from it, and it tells for a while what was changed when. */
export const LOG_RETENTION: Retention = {
  ageMs: 7 * 24 * 3_600_000,
  transactionsMin: 100_000n,
  transactionsMax: 2_000_000n,
};

/** Transactions forgotten at once, so that no lock is held for long. */
const BATCH = 5_000n;

/** Forgets what is older than the log must keep. Any number of replicas may do it at once. */
export async function compactLog(store: Store, clock: Clock, retention: Retention = LOG_RETENTION): Promise<void> {
  const before = new Date(clock.now() - retention.ageMs);
  const [head, old] = await store.read(async (reader) => [
    knownHead(await getConfigHead(reader)),
    await lastSequenceBefore(reader, before),
  ]);
  const end = larger(
    smaller(old, head.sequence - retention.transactionsMin),
    head.sequence - retention.transactionsMax,
  );
  let done = head.compactedSequence;
  while (done < end) {
    const upTo = smaller(done + BATCH, end);
    await store.transaction((tx) => compactConfigLog(tx, upTo));
    done = upTo;
  }
}

/** Math.min does not take bigints. */
const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
