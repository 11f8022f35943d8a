import { and, asc, eq, gt, lte, sql } from "drizzle-orm";
import { FLEET } from "./config-head.ts";
import type { Reader, Tx } from "./database.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { configCurrent, links, linkTokens } from "./schema.ts";

export type LinkTokenRow = typeof linkTokens.$inferSelect;

/** @throws ConduitError `resource_exists` */
export async function insertLinkToken(tx: Tx, row: Omit<LinkTokenRow, "version">): Promise<LinkTokenRow> {
  return insertedRow(await tx.insert(linkTokens).values(row).onConflictDoNothing().returning());
}

const isToken = (link: string, id: string) => and(eq(linkTokens.link, link), eq(linkTokens.id, id));

export async function getLinkToken(reader: Reader, link: string, id: string): Promise<LinkTokenRow | undefined> {
  const [row] = await reader.select().from(linkTokens).where(isToken(link, id));
  return row;
}

/** Reads and locks it until the transaction ends. */
export async function lockLinkToken(tx: Tx, link: string, id: string): Promise<LinkTokenRow | undefined> {
  const [row] = await tx.select().from(linkTokens).where(isToken(link, id)).for("update");
  return row;
}

/** Tokens of a link by id, after `afterId` ("" = from the first). */
export function listLinkTokens(reader: Reader, link: string, afterId: string, limit: number): Promise<LinkTokenRow[]> {
  const page = and(eq(linkTokens.link, link), gt(linkTokens.id, afterId));
  return reader.select().from(linkTokens).where(page).orderBy(asc(linkTokens.id)).limit(limit);
}

/** Every token of a link, for the deletes that go with it. */
export function allLinkTokens(reader: Reader, link: string): Promise<LinkTokenRow[]> {
  return reader.select().from(linkTokens).where(eq(linkTokens.link, link)).orderBy(asc(linkTokens.id));
}

/** Writes over the version given in `row`. @throws ConduitError `etag_mismatch` when that is not the current one */
export async function updateLinkToken(
  tx: Tx,
  row: Omit<LinkTokenRow, "tokenHash" | "createTime">,
): Promise<LinkTokenRow> {
  const { link, id, version, displayName, allowedOrigins, allowedAddresses, expireTime, updateTime } = row;
  const change = { displayName, allowedOrigins, allowedAddresses, expireTime, updateTime };
  const isCurrent = and(isToken(link, id), eq(linkTokens.version, version));
  const next = { ...change, version: sql`${linkTokens.version} + 1` };
  return updatedRow(await tx.update(linkTokens).set(next).where(isCurrent).returning());
}

export async function deleteLinkToken(tx: Tx, link: string, id: string): Promise<void> {
  await tx.delete(linkTokens).where(isToken(link, id));
}

/** Whose token a row is. */
export interface LinkTokenKey {
  readonly project: string;
  readonly link: string;
  readonly id: string;
}

/**
 * Some that have expired and are still sent to the proxies, locked until the transaction ends; those that somebody is
 * changing are left out.
 */
export function lockExpiredLinkTokens(tx: Tx, now: Date, limit: number): Promise<LinkTokenKey[]> {
  const name = sql`'projects/' || ${links.project} || '/links/' || ${links.id} || '/tokens/' || ${linkTokens.id}`;
  const isSent = sql`exists (select 1 from ${configCurrent} where ${configCurrent.fleet} = ${FLEET}
    and ${configCurrent.kind} = 'link_token' and ${configCurrent.name} = ${name})`;
  return tx
    .select({ project: links.project, link: linkTokens.link, id: linkTokens.id })
    .from(linkTokens)
    .innerJoin(links, eq(links.id, linkTokens.link))
    .where(and(lte(linkTokens.expireTime, now), isSent))
    .limit(limit)
    .for("update", { of: linkTokens, skipLocked: true });
}
