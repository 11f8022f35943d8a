import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, textsOf } from "./prepared-query.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { projects } from "./schema.ts";

export type ProjectRow = typeof projects.$inferSelect;
/** What is left out gets its default. */
export type NewProjectRow = Omit<typeof projects.$inferInsert, "version">;

/** @throws ConduitError `resource_exists` */
export async function insertProject(tx: Tx, row: NewProjectRow): Promise<ProjectRow> {
  return insertedRow(await tx.insert(projects).values(row).onConflictDoNothing().returning());
}

export async function getProject(reader: Reader, id: string): Promise<ProjectRow | undefined> {
  const [row] = await reader.select().from(projects).where(eq(projects.id, id));
  return row;
}

const WITH_IDS = preparedSelect(projects, sql`${projects.id} = any(${textsOf("ids")})`);

export const getProjects = (reader: Reader, ids: readonly string[]): Promise<ProjectRow[]> =>
  WITH_IDS.run(reader, { ids: JSON.stringify(ids) });

/** Reads and locks it until the transaction ends: nothing can be created in it meanwhile. */
export async function lockProject(tx: Tx, id: string): Promise<ProjectRow | undefined> {
  const [row] = await tx.select().from(projects).where(eq(projects.id, id)).for("update");
  return row;
}

/** By id, after `afterId` ("" = from the first). */
export function listProjects(reader: Reader, afterId: string, limit: number): Promise<ProjectRow[]> {
  return reader.select().from(projects).where(gt(projects.id, afterId)).orderBy(asc(projects.id)).limit(limit);
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateProject(tx: Tx, row: Omit<ProjectRow, "issuer" | "createTime">): Promise<ProjectRow> {
  const { id, version, displayName, accessTokenLifetimeMs, accessTokenLifetimeMaxMs, updateTime } = row;
  const { sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs, sessionCookies } = row;
  const ofTokens = { accessTokenLifetimeMs, accessTokenLifetimeMaxMs };
  const lifetimes = { ...ofTokens, sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs };
  const change = { displayName, ...lifetimes, sessionCookies, updateTime, version: sql`${projects.version} + 1` };
  const isCurrent = and(eq(projects.id, id), eq(projects.version, version));
  return updatedRow(await tx.update(projects).set(change).where(isCurrent).returning());
}

/** Deletes it with its data keys, secrets, issuers, signing keys and API keys. @throws ConduitError `resource_in_use` while it has links */
export async function deleteProject(tx: Tx, id: string): Promise<void> {
  await tx.delete(projects).where(eq(projects.id, id));
}

/** Those of these projects that exist. */
export async function existingProjects(reader: Reader, ids: readonly string[]): Promise<string[]> {
  const rows = await reader
    .select({ id: projects.id })
    .from(projects)
    .where(inArray(projects.id, [...ids]));
  return rows.map(({ id }) => id);
}
