import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, textsOf } from "./prepared-query.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { links, usedLinkIds } from "./schema.ts";

/** `spec` is the link without its name: `linkName(row.project, row.id)`. */
export type LinkRow = typeof links.$inferSelect;

/** What makes a new link. */
export type NewLinkRow = Omit<LinkRow, "version" | "debugKeys">;

/** @throws ConduitError `resource_exists` when the id is taken or ever was, in any project: it stands in public URLs */
export async function insertLink(tx: Tx, row: NewLinkRow): Promise<LinkRow> {
  const { id, project, createTime } = row;
  insertedRow(await tx.insert(usedLinkIds).values({ id, project, createTime }).onConflictDoNothing().returning());
  return insertedRow(await tx.insert(links).values(row).onConflictDoNothing().returning());
}

const isLink = (project: string, id: string) => and(eq(links.project, project), eq(links.id, id));

export async function getLink(reader: Reader, project: string, id: string): Promise<LinkRow | undefined> {
  const [row] = await reader.select().from(links).where(isLink(project, id));
  return row;
}

const WITH_IDS = preparedSelect(links, sql`${links.id} = any(${textsOf("ids")})`);

/** Links with these ids, of whatever project. */
export const getLinks = (reader: Reader, ids: readonly string[]): Promise<LinkRow[]> =>
  WITH_IDS.run(reader, { ids: JSON.stringify(ids) });

/** Reads and locks it until the transaction ends. */
export async function lockLink(tx: Tx, project: string, id: string): Promise<LinkRow | undefined> {
  const [row] = await tx.select().from(links).where(isLink(project, id)).for("update");
  return row;
}

/** By id, after `afterId` ("" = from the first). */
export function listLinks(reader: Reader, project: string, afterId: string, limit: number): Promise<LinkRow[]> {
  const page = and(eq(links.project, project), gt(links.id, afterId));
  return reader.select().from(links).where(page).orderBy(asc(links.id)).limit(limit);
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateLink(
  tx: Tx,
  row: Pick<LinkRow, "project" | "id" | "version" | "spec" | "updateTime">,
): Promise<LinkRow> {
  const { project, id, version, spec, updateTime } = row;
  const change = { spec, updateTime, version: sql`${links.version} + 1` };
  const isCurrent = and(isLink(project, id), eq(links.version, version));
  return updatedRow(await tx.update(links).set(change).where(isCurrent).returning());
}

/** Sets a link's debug keys and nothing else; its row must be locked (`lockLink`). */
export async function setDebugKeys(
  tx: Tx,
  { project, id, debugKeys }: Pick<LinkRow, "project" | "id" | "debugKeys">,
): Promise<void> {
  await tx.update(links).set({ debugKeys }).where(isLink(project, id));
}

/** Links with debug keys that have expired, at most `limit`. */
export function linksWithExpiredDebugKeys(
  reader: Reader,
  now: Date,
  limit: number,
): Promise<{ project: string; id: string }[]> {
  const vars = JSON.stringify({ now: now.getTime() });
  const hasExpired = sql`jsonb_path_exists(${links.debugKeys}, '$[*] ? (@.expireTimeMs <= $now)', ${vars}::jsonb)`;
  return reader.select({ project: links.project, id: links.id }).from(links).where(hasExpired).limit(limit);
}

/** Deletes it with its tokens. Its id stays taken for ever. */
export async function deleteLink(tx: Tx, project: string, id: string): Promise<void> {
  await tx.delete(links).where(isLink(project, id));
}

/** Ids of links that trust this issuer (resource name), at most `limit`. */
export async function linksOfIssuer(reader: Reader, project: string, issuer: string, limit: number): Promise<string[]> {
  return linksWhoseSpecHolds(reader, project, { issuers: [issuer] }, limit);
}

/** Ids of links that inject this secret (resource name), at most `limit`. */
export async function linksOfSecret(reader: Reader, project: string, secret: string, limit: number): Promise<string[]> {
  return linksWhoseSpecHolds(reader, project, { injections: [{ secret }] }, limit);
}

/** Whether any link of the project sends assertions. */
export async function hasLinkWithAssertion(reader: Reader, project: string): Promise<boolean> {
  return (await linksWhoseSpecHolds(reader, project, { identityAssertion: true }, 1)).length > 0;
}

/** `@>`: arrays hold each given element, objects each given member. */
async function linksWhoseSpecHolds(reader: Reader, project: string, part: object, limit: number): Promise<string[]> {
  const holds = sql`${links.spec} @> ${JSON.stringify(part)}::jsonb`;
  const found = reader
    .select({ id: links.id })
    .from(links)
    .where(and(eq(links.project, project), holds));
  return (await found.orderBy(asc(links.id)).limit(limit)).map(({ id }) => id);
}
