import type { ConfigEntry, ConfigTransaction } from "../store/config-log.ts";

/** Transactions that follow one another, as one: sent when they were committed faster than frames can be sent. */
export interface MergedTransactions extends ConfigTransaction {
  /** Sequence before the first. */
  readonly from: bigint;
}

/**
 * Several transactions as one change, applied together: of each resource the last change counts. Nothing in between is ever
 * seen, and none is cut in two.
 * @param transactions at least one, in order
 */
export function mergeTransactions(transactions: readonly ConfigTransaction[]): MergedTransactions {
  const [first] = transactions;
  const last = transactions.at(-1);
  if (first === undefined || last === undefined) throw new TypeError("nothing to merge");
  const { sequence, digest } = last;
  return {
    from: first.sequence - 1n,
    sequence,
    digest,
    commitTime: first.commitTime,
    entries: lastOfEach(transactions),
  };
}

function lastOfEach(transactions: readonly ConfigTransaction[]): ConfigEntry[] {
  const latest = new Map<string, ConfigEntry>();
  for (const { entries } of transactions) {
    for (const entry of entries) {
      const key = `${entry.kind} ${entry.name}`;
      // To the end: an order in which each resource stands where its last change stood.
      latest.delete(key);
      latest.set(key, entry);
    }
  }
  return [...latest.values()];
}
