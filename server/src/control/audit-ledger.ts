import type { AuditEvent } from "../model/audit-event.ts";
import { recordAudit } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** Writes down deeds that change nothing else, such as a mint without a session. */
export interface AuditLedger {
  /** Resolves when the records are committed: answer with the deed only then. Rejects when they are not. */
  write(events: readonly AuditEvent[]): Promise<void>;
}

/** Deeds that come at once share a transaction (group commit). */
export const createAuditLedger = (store: Store): AuditLedger => ({
  write: groupCalls((entries: ReadonlyArray<readonly AuditEvent[]>) =>
    store.statement((tx) => recordAudit(tx, ...entries.flat())),
  ),
});
