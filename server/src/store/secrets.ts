import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { secrets } from "./schema.ts";

/**
 * Values are sealed for the place {table: "secrets", column: "sealed_value" | "sealed_next_value", project, row: id,
 * version: valueVersion | nextValueVersion}.
 */
export type SecretRow = typeof secrets.$inferSelect;

/** @throws ConduitError `resource_exists` */
export async function insertSecret(tx: Tx, row: Omit<SecretRow, "version">): Promise<SecretRow> {
  return insertedRow(await tx.insert(secrets).values(row).onConflictDoNothing().returning());
}

const isSecret = (project: string, id: string) => and(eq(secrets.project, project), eq(secrets.id, id));

export async function getSecret(reader: Reader, project: string, id: string): Promise<SecretRow | undefined> {
  const [row] = await reader.select().from(secrets).where(isSecret(project, id));
  return row;
}

/** Reads and locks it until the transaction ends. */
export async function lockSecret(tx: Tx, project: string, id: string): Promise<SecretRow | undefined> {
  const [row] = await tx.select().from(secrets).where(isSecret(project, id)).for("update");
  return row;
}

/** Which of these exist. They cannot be deleted until the transaction ends: for writes that refer to them. */
export async function keepSecrets(tx: Tx, project: string, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const named = and(eq(secrets.project, project), inArray(secrets.id, [...ids]));
  const rows = await tx.select({ id: secrets.id }).from(secrets).where(named).orderBy(asc(secrets.id)).for("share");
  return rows.map(({ id }) => id);
}

/** By id, after `afterId` ("" = from the first). */
export function listSecrets(reader: Reader, project: string, afterId: string, limit: number): Promise<SecretRow[]> {
  const page = and(eq(secrets.project, project), gt(secrets.id, afterId));
  return reader.select().from(secrets).where(page).orderBy(asc(secrets.id)).limit(limit);
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateSecret(tx: Tx, row: Omit<SecretRow, "createTime">): Promise<SecretRow> {
  const { project, id, version, ...change } = row;
  const isCurrent = and(isSecret(project, id), eq(secrets.version, version));
  const next = { ...change, version: sql`${secrets.version} + 1` };
  return updatedRow(await tx.update(secrets).set(next).where(isCurrent).returning());
}

export async function deleteSecret(tx: Tx, project: string, id: string): Promise<void> {
  await tx.delete(secrets).where(isSecret(project, id));
}
