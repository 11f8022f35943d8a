import { asc, eq, gt, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { insertedRow } from "./row-change.ts";
import { proxies } from "./schema.ts";

export type ProxyRow = typeof proxies.$inferSelect;

/** What a proxy says of itself. */
export type ProxyStatus = Pick<
  ProxyRow,
  "softwareVersion" | "appliedEpoch" | "appliedSequence" | "rejected" | "issuerKeys"
> & {
  readonly lastSeenTime: Date;
};

/** @throws ConduitError `resource_exists` */
export async function insertProxy(
  tx: Tx,
  row: Pick<ProxyRow, "id" | "credentialHash" | "displayName" | "createTime">,
): Promise<ProxyRow> {
  return insertedRow(await tx.insert(proxies).values(row).onConflictDoNothing().returning());
}

/** The proxy whose credential has this SHA-256 (hex). */
export async function findProxyByCredential(reader: Reader, credentialHash: string): Promise<ProxyRow | undefined> {
  const [row] = await reader.select().from(proxies).where(eq(proxies.credentialHash, credentialHash));
  return row;
}

export async function getProxy(reader: Reader, id: string): Promise<ProxyRow | undefined> {
  const [row] = await reader.select().from(proxies).where(eq(proxies.id, id));
  return row;
}

/** By id, after `afterId` ("" = from the first). */
export function listProxies(reader: Reader, afterId: string, limit: number): Promise<ProxyRow[]> {
  return reader.select().from(proxies).where(gt(proxies.id, afterId)).orderBy(asc(proxies.id)).limit(limit);
}

/** Keeps what a proxy reported; nothing happens when it is gone. */
export async function recordProxyStatus(tx: Tx, id: string, status: ProxyStatus): Promise<void> {
  await tx.update(proxies).set(status).where(eq(proxies.id, id));
}

/** Proxies that reported about an issuer's keys, by id. @param issuer resource name */
export function proxiesWithKeysOf(reader: Reader, issuer: string, limit: number): Promise<ProxyRow[]> {
  const mentions = sql`${proxies.issuerKeys} @> ${JSON.stringify([{ issuer }])}::jsonb`;
  return reader.select().from(proxies).where(mentions).orderBy(asc(proxies.id)).limit(limit);
}

/** Its credential is refused from then on. */
export async function deleteProxy(tx: Tx, id: string): Promise<void> {
  await tx.delete(proxies).where(eq(proxies.id, id));
}
