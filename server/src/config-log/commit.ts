import type { ConfigChange } from "../model/config-resource.ts";
import type { Tx } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import { appendChanges } from "./append.ts";

/** What a write gives: its result, and what it changes for the proxies (nothing: []). */
export interface Write<T> {
  readonly result: T;
  readonly changes: readonly ConfigChange[];
}

/** What was committed. */
export interface Committed<T> {
  readonly result: T;
  /** Sequence of the configuration that holds the changes; the current one when there are none. */
  readonly sequence: bigint;
}

/**
 * The one way control services write: `write` changes the tables, its configuration changes go to the log in the same
 * transaction, as its last statement. Rejects as `Store.transaction` does; `write` may run again.
 */
export function commitChanges<T>(store: Store, write: (tx: Tx) => Promise<Write<T>>): Promise<Committed<T>> {
  return store.transaction(async (tx) => {
    const { result, changes } = await write(tx);
    return { result, sequence: await appendChanges(tx, changes) };
  });
}
