import { and, asc, eq, gt, isNull, lt, ne, sql } from "drizzle-orm";
import type { AuditEvent } from "../model/audit-event.ts";
import { auditInsert, auditText } from "./audit.ts";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, preparedSql, textsOf } from "./prepared-query.ts";
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

/** A session as it was read, to be rotated. */
export interface Rotation {
  readonly session: Pick<SessionRow, "id" | "counter">;
  readonly attemptId: string;
  /** Its record; its time is the rotation's. */
  readonly event: AuditEvent;
}

// Rows that somebody holds are left alone: the statement waits for nobody, so no session can hold up the others in it.
const ROTATE_UNCHANGED = preparedSql<{ at: number }>(
  sql`with wanted as (
    select * from jsonb_to_recordset(${sql.placeholder("rotations")}::text::jsonb) as one(
      "at" int, "id" uuid, "counter" bigint, "attemptId" text, "now" timestamptz)),
  free as (select "id" from ${sessions} where "id" in (select "id" from wanted) for update skip locked),
  rotated as (
    update ${sessions} as session set "counter" = session."counter" + 1, "rotate_time" = wanted."now",
      "attempt_id" = wanted."attemptId"
    from wanted join free on free."id" = wanted."id"
    where session."id" = wanted."id" and session."counter" = wanted."counter" and session."revoke_time" is null
    returning wanted."at"),
  recorded as (${auditInsert(sql` join rotated on rotated."at" = given."at"`)})
  select "at" from rotated`,
  { at: sessions.counter },
);

/**
 * Rotates the sessions that are still as they were read, and records it, in one statement without locks held before: of
 * calls that read the same, one finds its counter. Answers the places in the list of those that were rotated; to the others
 * nothing was done.
 */
export async function rotateUnchanged(tx: Tx, rotations: readonly Rotation[]): Promise<ReadonlySet<number>> {
  const wanted = rotations.map(({ session: { id, counter }, attemptId, event }, at) => {
    return { at, id, counter, attemptId, now: new Date(event.timeMs) };
  });
  const records = auditText(rotations.map(({ event }) => event));
  const rotated = await ROTATE_UNCHANGED.run(tx, { rotations: JSON.stringify(wanted), records });
  return new Set(rotated.map(({ at }) => at));
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

/** A session that was ended. */
export interface EndedSession {
  readonly id: string;
  /** When its newest access token may have been issued. */
  readonly lastIssueTime: Date;
}

/**
 * Ends all sessions of a person but one (undefined = all).
 * @param overBefore those that were over by themselves earlier are left alone: none of their access tokens is valid any more
 */
export async function endSessionsOf(
  tx: Tx,
  { project, subject, except }: { project: string; subject: string; except: string | undefined },
  reason: string,
  { now, overBefore }: { readonly now: Date; readonly overBefore: Date },
): Promise<EndedSession[]> {
  const isOpen = and(
    eq(sessions.project, project),
    eq(sessions.subject, subject),
    isNull(sessions.revokeTime),
    gt(sessions.absoluteExpireTime, overBefore),
    except === undefined ? undefined : ne(sessions.id, except),
  );
  const { id, createTime, rotateTime, replayTime } = sessions;
  const ended = tx.update(sessions).set({ revokeTime: now, revokeReason: reason }).where(isOpen);
  return (await ended.returning({ id, createTime, rotateTime, replayTime })).map(({ id: one, ...times }) => ({
    id: one,
    lastIssueTime: new Date(Math.max(...Object.values(times).map((time) => time?.getTime() ?? 0))),
  }));
}

/** Forgets sessions that ended by themselves before a time. */
export async function deleteSessionsEndedBefore(tx: Tx, time: Date): Promise<void> {
  await tx.delete(sessions).where(lt(sessions.absoluteExpireTime, time));
}
