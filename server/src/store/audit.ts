import type { AuditEvent } from "../model/audit-event.ts";
import { projectOf } from "../model/resource-name.ts";
import type { Tx } from "./database.ts";
import { auditRecords } from "./schema.ts";
import { storableText } from "./storable-text.ts";

/** A record as it is stored. */
export type AuditRow = typeof auditRecords.$inferSelect;

/** Longest text of one field of a record, in UTF-16 code units: subjects are the callers' and may be anything. */
const TEXT_MAX = 1_024;

/**
 * Writes down what this transaction does: the record is there if and only if the deed is. Unchained, since a chain's head
 * would be a lock held to the commit; the sealer chains what is committed. Call it before the last statement
 * (`appendChanges`), which holds the lock of all configuration changes.
 */
export async function recordAudit(tx: Tx, ...events: readonly AuditEvent[]): Promise<void> {
  if (events.length > 0) await tx.insert(auditRecords).values(events.map(rowOf));
}

function rowOf(event: AuditEvent): Omit<AuditRow, "id" | "block"> {
  const text = (value: string) => storableText(value, TEXT_MAX);
  return {
    project: projectOf(event.resource),
    time: new Date(event.timeMs),
    actor: text(event.actor),
    action: text(event.action),
    resource: text(event.resource),
    requestId: text(event.requestId),
    clientAddress: text(event.clientAddress),
    details: Object.fromEntries(Object.entries(event.details).map(([name, value]) => [text(name), text(value)])),
  };
}
