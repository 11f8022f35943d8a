import { and, asc, count, desc, eq, gt, isNotNull, isNull, min, notExists, sql } from "drizzle-orm";
import type { AuditRow } from "./audit.ts";
import { onlyRow, type Reader, type Tx } from "./database.ts";
import { preparedSql, textsOf } from "./prepared-query.ts";
import { auditBlocks, auditRecords } from "./schema-audit.ts";

export type AuditBlockRow = typeof auditBlocks.$inferSelect;

/** Whether there is something to seal. */
export async function hasUnsealed(reader: Reader): Promise<boolean> {
  const rows = await reader
    .select({ id: auditRecords.id })
    .from(auditRecords)
    .where(isNull(auditRecords.block))
    .limit(1);
  return rows.length > 0;
}

/** Committed records without a block in id order, at most `limit`. One with a lower id may still be on its way. */
export function unsealedAudit(reader: Reader, limit: number): Promise<AuditRow[]> {
  const isUnsealed = isNull(auditRecords.block);
  return reader.select().from(auditRecords).where(isUnsealed).orderBy(asc(auditRecords.id)).limit(limit);
}

/** The end of the chain; undefined = nothing was sealed yet. */
export async function lastBlock(reader: Reader): Promise<AuditBlockRow | undefined> {
  const [row] = await reader.select().from(auditBlocks).orderBy(desc(auditBlocks.number)).limit(1);
  return row;
}

// One text for any number of records: a busy second has thousands, and a parameter for each took as long as sealing them.
const NAME_BLOCK = preparedSql(sql`
  update ${auditRecords} set "block" = ${sql.placeholder("block")}::text::bigint
  where "id" = any(${textsOf("ids")}::bigint[])`);

/** Adds a block and names it in its records. */
export async function insertBlock(tx: Tx, block: AuditBlockRow, ids: readonly bigint[]): Promise<void> {
  await tx.insert(auditBlocks).values(block);
  await NAME_BLOCK.run(tx, { block: `${block.number}`, ids: JSON.stringify(ids.map(String)) });
}

/** Blocks after a number, in order. */
export function blocksAfter(reader: Reader, number: bigint, limit: number): Promise<AuditBlockRow[]> {
  const isAfter = gt(auditBlocks.number, number);
  return reader.select().from(auditBlocks).where(isAfter).orderBy(asc(auditBlocks.number)).limit(limit);
}

/** Records of a block in id order. */
export function recordsOfBlock(reader: Reader, number: bigint): Promise<AuditRow[]> {
  const isInBlock = eq(auditRecords.block, number);
  return reader.select().from(auditRecords).where(isInBlock).orderBy(asc(auditRecords.id));
}

/** Numbers of blocks that records name and that are not there, at most `limit`. */
export async function missingBlocks(reader: Reader, limit: number): Promise<bigint[]> {
  const named = sql`(select 1 from ${auditBlocks} where ${auditBlocks.number} = ${auditRecords.block})`;
  const rows = reader
    .select({ block: auditRecords.block })
    .from(auditRecords)
    .where(and(isNotNull(auditRecords.block), notExists(named)))
    .groupBy(auditRecords.block)
    .orderBy(asc(auditRecords.block))
    .limit(limit);
  return (await rows).flatMap(({ block }) => (block === null ? [] : [block]));
}

/** What is not sealed yet. */
export async function unsealedTail(
  reader: Reader,
): Promise<{ readonly records: number; readonly oldestTime: Date | null }> {
  const columns = { records: count(auditRecords.id), oldestTime: min(auditRecords.time) };
  return onlyRow(await reader.select(columns).from(auditRecords).where(isNull(auditRecords.block)));
}
