import { and, asc, desc, eq, gt, inArray, lte, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { preparedSql, textsOf } from "./prepared-query.ts";
import { insertedRow } from "./row-change.ts";
import { revocations } from "./schema-tokens.ts";

export type RevocationRow = typeof revocations.$inferSelect;

/** @throws ConduitError `resource_exists` */
export async function insertRevocation(tx: Tx, row: RevocationRow): Promise<RevocationRow> {
  return insertedRow(await tx.insert(revocations).values(row).onConflictDoNothing().returning());
}

/** Writes many; answers those that are new: taken ids are left out. */
export async function insertRevocations(tx: Tx, rows: readonly RevocationRow[]): Promise<RevocationRow[]> {
  if (rows.length === 0) return [];
  return tx
    .insert(revocations)
    .values([...rows])
    .onConflictDoNothing()
    .returning();
}

/** Those without "issued before" first, then the latest: more would say nothing new. */
const FOUND_MAX = 1_000;

const isRevocation = (project: string, id: string) => and(eq(revocations.project, project), eq(revocations.id, id));

export async function getRevocation(reader: Reader, project: string, id: string): Promise<RevocationRow | undefined> {
  const [row] = await reader.select().from(revocations).where(isRevocation(project, id));
  return row;
}

/** Those that still count, by id, after `afterId` ("" = from the first). */
export function listRevocations(
  reader: Reader,
  project: string,
  now: Date,
  afterId: string,
  limit: number,
): Promise<RevocationRow[]> {
  const page = and(eq(revocations.project, project), gt(revocations.id, afterId), gt(revocations.expireTime, now));
  return reader.select().from(revocations).where(page).orderBy(asc(revocations.id)).limit(limit);
}

/** Whether there was one. */
export async function deleteRevocation(tx: Tx, project: string, id: string): Promise<boolean> {
  const deleted = await tx.delete(revocations).where(isRevocation(project, id)).returning({ id: revocations.id });
  return deleted.length > 0;
}

/** Ends all of a project that is being deleted; the sweeper takes them from the proxies. */
export async function endRevocations(tx: Tx, project: string, now: Date): Promise<void> {
  const isLive = and(eq(revocations.project, project), gt(revocations.expireTime, now));
  await tx.update(revocations).set({ expireTime: now }).where(isLive);
}

/** Deletes some that have expired and answers which: none left = []. Replicas that do it at once get different ones. */
export function takeExpiredRevocations(
  tx: Tx,
  now: Date,
  limit: number,
): Promise<Pick<RevocationRow, "project" | "id">[]> {
  const some = tx
    .select({ project: revocations.project, id: revocations.id })
    .from(revocations)
    .where(lte(revocations.expireTime, now))
    .limit(limit)
    .for("update", { skipLocked: true });
  const isOne = sql`(${revocations.project}, ${revocations.id}) in ${some}`;
  return tx.delete(revocations).where(isOne).returning({ project: revocations.project, id: revocations.id });
}

const LATEST_ISSUED_BEFORE = preparedSql<{ targetKey: Uint8Array; issuedBefore: Date }>(
  sql`select ${revocations.targetKey}, max(${revocations.issuedBefore}) from ${revocations}
    where ${revocations.targetKey} = any(array(select decode(hex, 'hex') from unnest(${textsOf("keys")}) as given(hex)))
      and ${revocations.expireTime} > ${sql.placeholder("now")}::timestamptz and ${revocations.issuedBefore} is not null
    group by ${revocations.targetKey}`,
  { targetKey: revocations.targetKey, issuedBefore: revocations.issuedBefore },
);

/** The latest "issued before" of what withdraws these keys, by key in hex: new tokens must be dated after it. */
export async function latestIssuedBefore(
  reader: Reader,
  targetKeys: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, Date>> {
  const rows = await LATEST_ISSUED_BEFORE.run(reader, { keys: JSON.stringify(targetKeys), now: now.toISOString() });
  return new Map(rows.map(({ targetKey, issuedBefore }) => [Buffer.from(targetKey).toString("hex"), issuedBefore]));
}

/** Those that count now and withdraw one of these keys. */
export function findRevocations(
  reader: Reader,
  targetKeys: readonly Uint8Array[],
  now: Date,
): Promise<RevocationRow[]> {
  const counts = and(inArray(revocations.targetKey, [...targetKeys]), gt(revocations.expireTime, now));
  return reader.select().from(revocations).where(counts).orderBy(desc(revocations.issuedBefore)).limit(FOUND_MAX);
}
