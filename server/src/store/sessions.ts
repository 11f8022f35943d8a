import { and, asc, eq, gt, isNull, lt, ne, sql } from "drizzle-orm";
import type { AuditEvent } from "../model/audit-event.ts";
import { auditInsert, auditText } from "./audit.ts";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, preparedSql, textsOf } from "./prepared-query.ts";
import { auditRecords } from "./schema-audit.ts";
import { sessions } from "./schema-tokens.ts";

/**
 * The refresh key is sealed for {table: "sessions", column: "sealed_refresh_key", project, row: id, version: 1}.
 */
export type SessionRow = typeof sessions.$inferSelect;
export type NewSessionRow = Omit<
  SessionRow,
  "counter" | "rotateTime" | "attemptId" | "replayTime" | "revokeTime" | "revokeReason"
>;

export async function insertSessions(tx: Tx, rows: readonly NewSessionRow[]): Promise<void> {
  if (rows.length > 0) await tx.insert(sessions).values([...rows]);
}

export async function getSession(reader: Reader, project: string, id: string): Promise<SessionRow | undefined> {
  const isOne = and(eq(sessions.project, project), eq(sessions.id, id));
  const [row] = await reader.select().from(sessions).where(isOne);
  return row;
}

const LOCK = preparedSelect(sessions, sql`${sessions.id} = ${sql.placeholder("id")}`, true);

/** Reads and locks it until the transaction ends: of calls that come at once, each sees what the one before has done. */
export async function lockSession(tx: Tx, id: string): Promise<SessionRow | undefined> {
  const [row] = await LOCK.run(tx, { id });
  return row;
}

export interface SessionPage {
  /** Undefined = everybody's. */
  readonly subject: string | undefined;
  /** Undefined = from the first. */
  readonly afterId: string | undefined;
  readonly limit: number;
}

/** By id. */
export function listSessions(
  reader: Reader,
  project: string,
  { subject, afterId, limit }: SessionPage,
): Promise<SessionRow[]> {
  const page = and(
    eq(sessions.project, project),
    subject === undefined ? undefined : eq(sessions.subject, subject),
    afterId === undefined ? undefined : gt(sessions.id, afterId),
  );
  return reader.select().from(sessions).where(page).orderBy(asc(sessions.id)).limit(limit);
}

const ROTATE = preparedSql(sql`
  update ${sessions} set "counter" = "counter" + 1, "rotate_time" = ${sql.placeholder("now")}::timestamptz,
    "attempt_id" = ${sql.placeholder("attemptId")}
  where "id" = ${sql.placeholder("id")}`);

/** The next refresh token is the current one. The caller holds the row's lock. */
export async function rotateSession(tx: Tx, id: string, attemptId: string, now: Date): Promise<void> {
  await ROTATE.run(tx, { id, attemptId, now: now.toISOString() });
}

const WITH_IDS = preparedSelect(sessions, sql`${sessions.id} = any(${textsOf("ids")}::uuid[])`);

export const getSessions = (reader: Reader, ids: readonly string[]): Promise<SessionRow[]> =>
  WITH_IDS.run(reader, { ids: JSON.stringify(ids) });

const ROTATE_UNCHANGED = preparedSql<{ id: bigint }>(
  sql`with rotated as (
    update ${sessions} set "counter" = "counter" + 1, "rotate_time" = ${sql.placeholder("now")}::timestamptz,
      "attempt_id" = ${sql.placeholder("attemptId")}
    where "id" = ${sql.placeholder("id")} and "counter" = ${sql.placeholder("counter")}::text::bigint
      and "revoke_time" is null
    returning "id")
  ${auditInsert(sql`, rotated`)} returning ${auditRecords.id}`,
  { id: auditRecords.id },
);

/**
 * Rotates a session that is still as it was read, and records it, in one statement without a lock held before: of calls
 * that read the same, one finds its counter. False = it has changed, and nothing was done.
 */
export async function rotateUnchanged(
  tx: Tx,
  { id, counter }: Pick<SessionRow, "id" | "counter">,
  attemptId: string,
  event: AuditEvent,
): Promise<boolean> {
  const values = { id, counter: `${counter}`, attemptId, now: new Date(event.timeMs).toISOString() };
  return (await ROTATE_UNCHANGED.run(tx, { ...values, records: auditText([event]) })).length > 0;
}

/** The current refresh token was answered again. */
export async function noteReplay(tx: Tx, id: string, now: Date): Promise<void> {
  await tx.update(sessions).set({ replayTime: now }).where(eq(sessions.id, id));
}

/** Ends a session; false = it was ended before. */
export async function endSession(tx: Tx, id: string, reason: string, now: Date): Promise<boolean> {
  const isOpen = and(eq(sessions.id, id), isNull(sessions.revokeTime));
  const change = { revokeTime: now, revokeReason: reason };
  return (await tx.update(sessions).set(change).where(isOpen).returning({ id: sessions.id })).length > 0;
}

/** Ends all sessions of a person but one (undefined = all); returns the ids of those that had not ended by themselves. */
export async function endSessionsOf(
  tx: Tx,
  { project, subject, except }: { project: string; subject: string; except: string | undefined },
  reason: string,
  now: Date,
): Promise<string[]> {
  const isOpen = and(
    eq(sessions.project, project),
    eq(sessions.subject, subject),
    isNull(sessions.revokeTime),
    gt(sessions.absoluteExpireTime, now),
    except === undefined ? undefined : ne(sessions.id, except),
  );
  const change = { revokeTime: now, revokeReason: reason };
  const ended = await tx.update(sessions).set(change).where(isOpen).returning({ id: sessions.id });
  return ended.map(({ id }) => id);
}

/** Forgets sessions that ended by themselves before a time. */
export async function deleteSessionsEndedBefore(tx: Tx, time: Date): Promise<void> {
  await tx.delete(sessions).where(lt(sessions.absoluteExpireTime, time));
}
