import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { issuers } from "./schema.ts";

/** `spec` is the issuer without its name: `issuerName(row.project, row.id)`. */
export type IssuerRow = typeof issuers.$inferSelect;

/** @throws ConduitError `resource_exists` */
export async function insertIssuer(tx: Tx, row: Omit<IssuerRow, "version">): Promise<IssuerRow> {
  return insertedRow(await tx.insert(issuers).values(row).onConflictDoNothing().returning());
}

const isIssuer = (project: string, id: string) => and(eq(issuers.project, project), eq(issuers.id, id));

export async function getIssuer(reader: Reader, project: string, id: string): Promise<IssuerRow | undefined> {
  const [row] = await reader.select().from(issuers).where(isIssuer(project, id));
  return row;
}

/** Reads and locks it until the transaction ends. */
export async function lockIssuer(tx: Tx, project: string, id: string): Promise<IssuerRow | undefined> {
  const [row] = await tx.select().from(issuers).where(isIssuer(project, id)).for("update");
  return row;
}

/** Those of these that exist. They cannot change or be deleted until the transaction ends: for links that refer to them. */
export async function keepIssuers(tx: Tx, project: string, ids: readonly string[]): Promise<IssuerRow[]> {
  if (ids.length === 0) return [];
  const named = and(eq(issuers.project, project), inArray(issuers.id, [...ids]));
  return tx.select().from(issuers).where(named).orderBy(asc(issuers.id)).for("share");
}

/** By id, after `afterId` ("" = from the first). */
export function listIssuers(reader: Reader, project: string, afterId: string, limit: number): Promise<IssuerRow[]> {
  const page = and(eq(issuers.project, project), gt(issuers.id, afterId));
  return reader.select().from(issuers).where(page).orderBy(asc(issuers.id)).limit(limit);
}

/** Those of these that exist, of any projects. */
export async function existingIssuers(
  reader: Reader,
  wanted: readonly Pick<IssuerRow, "project" | "id">[],
): Promise<Pick<IssuerRow, "project" | "id">[]> {
  if (wanted.length === 0) return [];
  const keys = wanted.map(({ project, id }) => sql`(${project}, ${id})`);
  const isWanted = sql`(${issuers.project}, ${issuers.id}) in (${sql.join(keys, sql`, `)})`;
  return reader.select({ project: issuers.project, id: issuers.id }).from(issuers).where(isWanted);
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateIssuer(
  tx: Tx,
  row: Pick<IssuerRow, "project" | "id" | "version" | "spec" | "updateTime">,
): Promise<IssuerRow> {
  const { project, id, version, spec, updateTime } = row;
  const change = { spec, updateTime, version: sql`${issuers.version} + 1` };
  const isCurrent = and(isIssuer(project, id), eq(issuers.version, version));
  return updatedRow(await tx.update(issuers).set(change).where(isCurrent).returning());
}

export async function deleteIssuer(tx: Tx, project: string, id: string): Promise<void> {
  await tx.delete(issuers).where(isIssuer(project, id));
}

/** Ids of issuers whose HS256 key is this secret (resource name), at most `limit`. */
export async function issuersOfSecret(
  reader: Reader,
  project: string,
  secret: string,
  limit: number,
): Promise<string[]> {
  const uses = sql`${issuers.spec} @> ${JSON.stringify({ keys: { secret } })}::jsonb`;
  const found = reader
    .select({ id: issuers.id })
    .from(issuers)
    .where(and(eq(issuers.project, project), uses));
  return (await found.orderBy(asc(issuers.id)).limit(limit)).map(({ id }) => id);
}
