import { and, asc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, textsOf } from "./prepared-query.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { apiKeys } from "./schema.ts";

/** `project` null = a key of the installation (operator). */
export type ApiKeyRow = typeof apiKeys.$inferSelect;

/** @throws ConduitError `resource_exists` */
export async function insertApiKey(tx: Tx, row: Omit<ApiKeyRow, "version">): Promise<ApiKeyRow> {
  return insertedRow(await tx.insert(apiKeys).values(row).onConflictDoNothing().returning());
}

const ofProject = (project: string | null) =>
  project === null ? isNull(apiKeys.project) : eq(apiKeys.project, project);
const hasText = (keyHash: string) => or(eq(apiKeys.keyHash, keyHash), eq(apiKeys.previousKeyHash, keyHash));
const isKey = (project: string | null, id: string) => and(ofProject(project), eq(apiKeys.id, id));

const HAVING_TEXTS = preparedSelect(
  apiKeys,
  sql`${apiKeys.keyHash} = any(${textsOf("hashes")}) or ${apiKeys.previousKeyHash} = any(${textsOf("hashes")})`,
);

/** Keys whose text, or text before its rotation, has one of these SHA-256 (hex); whether it has expired is the caller's to say. */
export const findApiKeys = (reader: Reader, keyHashes: readonly string[]): Promise<ApiKeyRow[]> =>
  HAVING_TEXTS.run(reader, { hashes: JSON.stringify(keyHashes) });

export async function getApiKey(reader: Reader, project: string | null, id: string): Promise<ApiKeyRow | undefined> {
  const [row] = await reader.select().from(apiKeys).where(isKey(project, id));
  return row;
}

/** Reads and locks it until the transaction ends. */
export async function lockApiKey(tx: Tx, project: string | null, id: string): Promise<ApiKeyRow | undefined> {
  const [row] = await tx.select().from(apiKeys).where(isKey(project, id)).for("update");
  return row;
}

/** Keys of a project (null = of the installation) by id, after `afterId` ("" = from the first). */
export function listApiKeys(
  reader: Reader,
  project: string | null,
  afterId: string,
  limit: number,
): Promise<ApiKeyRow[]> {
  const page = and(ofProject(project), gt(apiKeys.id, afterId));
  return reader.select().from(apiKeys).where(page).orderBy(asc(apiKeys.id)).limit(limit);
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateApiKey(
  tx: Tx,
  row: Omit<
    ApiKeyRow,
    "keyHash" | "role" | "hint" | "createTime" | "previousKeyHash" | "previousExpireTime" | "lastUseTime"
  >,
): Promise<ApiKeyRow> {
  const { project, id, version, ...columns } = row;
  const { displayName, expireTime, tokenLifetimeMaxMs, allowedAddresses, requestsPerMinute, updateTime } = columns;
  const limits = { expireTime, tokenLifetimeMaxMs, allowedAddresses, requestsPerMinute };
  const change = { displayName, ...limits, updateTime, version: sql`${apiKeys.version} + 1` };
  const isCurrent = and(isKey(project, id), eq(apiKeys.version, version));
  return updatedRow(await tx.update(apiKeys).set(change).where(isCurrent).returning());
}

/** Gives a locked key another text. */
export async function replaceKeyText(
  tx: Tx,
  { keyHash }: ApiKeyRow,
  fresh: Pick<ApiKeyRow, "keyHash" | "hint" | "previousKeyHash" | "previousExpireTime" | "updateTime">,
): Promise<ApiKeyRow> {
  const change = { ...fresh, version: sql`${apiKeys.version} + 1` };
  return updatedRow(await tx.update(apiKeys).set(change).where(eq(apiKeys.keyHash, keyHash)).returning());
}

/** Keeps when a key was used last; not a change of it. */
export async function noteKeyUse(tx: Tx, keyHash: string, time: Date): Promise<void> {
  const isLater = or(isNull(apiKeys.lastUseTime), lt(apiKeys.lastUseTime, time));
  await tx
    .update(apiKeys)
    .set({ lastUseTime: time })
    .where(and(hasText(keyHash), isLater));
}

export async function deleteApiKey(tx: Tx, project: string | null, id: string): Promise<void> {
  await tx.delete(apiKeys).where(isKey(project, id));
}
