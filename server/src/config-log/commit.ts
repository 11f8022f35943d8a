import type { AuditEvent } from "../model/audit-event.ts";
import type { ConfigChange } from "../model/config-resource.ts";
import { recordAudit } from "../store/audit.ts";
import type { Tx } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import { appendChanges } from "./append.ts";

/** What a write gives: its result, and what it changes for the proxies (nothing: []). */
export interface Write<T> {
  readonly result: T;
  readonly changes: readonly ConfigChange[];
  /** True: done by an earlier call, which the audit trail tells of; nothing is done now. */
  readonly isRepetition?: boolean;
}

/** What was committed. */
export interface Committed<T> {
  readonly result: T;
  /** Sequence of the configuration that holds the changes; the current one when there are none. */
  readonly sequence: bigint;
}

/**
 * The one way control services write: `write` changes the tables, the audit trail tells of it, and its configuration
 * changes go to the log, all in the same transaction; the log last. Rejects as `Store.transaction` does; `write` may run
 * again.
 * @param event "swept" = nobody's deed: what had ceased to count by the clock is taken away
 */
export function commitChanges<T>(
  store: Store,
  event: AuditEvent | "swept",
  write: (tx: Tx) => Promise<Write<T>>,
): Promise<Committed<T>> {
  return store.transaction(async (tx) => {
    const { result, changes, isRepetition = false } = await write(tx);
    if (event !== "swept" && !isRepetition) await recordAudit(tx, event);
    return { result, sequence: await appendChanges(tx, changes) };
  });
}
