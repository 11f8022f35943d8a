import { and, desc, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import type { AuditRecord } from "../model/audit-chain.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import { projectOf } from "../model/resource-name.ts";
import type { Reader, Tx } from "./database.ts";
import { preparedSql } from "./prepared-query.ts";
import { auditRecords } from "./schema-audit.ts";
import { storableText } from "./storable-text.ts";

/** A record as it is stored. */
export type AuditRow = typeof auditRecords.$inferSelect;

/** Longest text of one field of a record, in UTF-16 code units: subjects are the callers' and may be anything. */
const TEXT_MAX = 1_024;

/**
 * Inserts the records that `auditText` gives as value of the placeholder `records`. One text, so that the statement is the
 * same for any number of them.
 * @param which what follows the FROM item `given`, whose `at` is a record's place in the list; default: all of them
 */
export const auditInsert = (which: SQL = sql``): SQL => sql`
  insert into ${auditRecords}
    ("project", "time", "actor", "action", "resource", "request_id", "client_address", "details")
  select given."project", given."time", "actor", "action", "resource", "requestId", "clientAddress", "details"
  from jsonb_to_recordset(${sql.placeholder("records")}::text::jsonb) as given(
    "at" int, "project" text, "time" timestamptz, "actor" text, "action" text, "resource" text,
    "requestId" text, "clientAddress" text, "details" jsonb)${which}`;

export const auditText = (events: readonly AuditEvent[]): string =>
  JSON.stringify(events.map((event, at) => ({ at, ...rowOf(event) })));

const INSERT = preparedSql(auditInsert());

/**
 * Writes down what this transaction does: the record is there if and only if the deed is. Unchained, since a chain's head
 * would be a lock held to the commit; the sealer chains what is committed. Call it before the last statement
 * (`appendChanges`), which holds the lock of all configuration changes.
 */
export async function recordAudit(tx: Tx, ...events: readonly AuditEvent[]): Promise<void> {
  if (events.length > 0) await INSERT.run(tx, { records: auditText(events) });
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

/** A row as the chain covers it. */
export const recordOf = ({ time, block: _block, ...row }: AuditRow): AuditRecord => ({
  ...row,
  timeMs: time.getTime(),
});

/** Which events of a list; all must hold. */
export interface AuditFilter {
  /** Undefined = every project's and the installation's. */
  readonly project?: string;
  readonly actor?: string;
  /** Ends with `.`: every action of the service. */
  readonly action?: string;
  readonly resource?: string;
  readonly subject?: string;
  readonly startTime?: Date;
  /** Exclusive. */
  readonly endTime?: Date;
}

/** Newest first, before `beforeId` (undefined = from the newest). */
export function listAudit(
  reader: Reader,
  filter: AuditFilter,
  beforeId: bigint | undefined,
  limit: number,
): Promise<AuditRow[]> {
  const { project, actor, action, resource, subject, startTime, endTime } = filter;
  const columns = auditRecords;
  const wanted = and(
    project === undefined ? undefined : eq(columns.project, project),
    actor === undefined ? undefined : eq(columns.actor, actor),
    action === undefined ? undefined : isAction(action),
    resource === undefined ? undefined : eq(columns.resource, resource),
    subject === undefined ? undefined : sql`${columns.details} ->> 'subject' = ${subject}`,
    startTime === undefined ? undefined : gte(columns.time, startTime),
    endTime === undefined ? undefined : lt(columns.time, endTime),
    beforeId === undefined ? undefined : lt(columns.id, beforeId),
  );
  return reader.select().from(auditRecords).where(wanted).orderBy(desc(columns.id)).limit(limit);
}

const isAction = (action: string): SQL =>
  action.endsWith(".") ? sql`starts_with(${auditRecords.action}, ${action})` : eq(auditRecords.action, action);

/** @param project "" = the installation */
export async function getAudit(reader: Reader, project: string, id: bigint): Promise<AuditRow | undefined> {
  const isEvent = and(eq(auditRecords.project, project), eq(auditRecords.id, id));
  const [row] = await reader.select().from(auditRecords).where(isEvent);
  return row;
}
