import { asc, eq, gt, isNull, or, sql } from "drizzle-orm";
import { onlyRow, type Reader, type Tx } from "./database.ts";
import { insertedRow } from "./row-change.ts";
import { proxies } from "./schema.ts";

export type ProxyRow = typeof proxies.$inferSelect;

const isIts = (credentialHash: string) =>
  or(eq(proxies.credentialHash, credentialHash), eq(proxies.previousCredentialHash, credentialHash));

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

/** The proxy whose credential, or the one before, has this SHA-256 (hex). */
export async function findProxyByCredential(reader: Reader, credentialHash: string): Promise<ProxyRow | undefined> {
  const [row] = await reader.select().from(proxies).where(isIts(credentialHash));
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

/**
 * Keeps what proxies reported, all in one statement. Nothing happens to those that are gone, or that another replica has
 * heard of later.
 * @param reports the latest of each, by id
 */
export async function recordProxyStatuses(tx: Tx, reports: ReadonlyMap<string, ProxyStatus>): Promise<void> {
  const rows = [...reports].map(([id, status]) => ({
    id,
    software_version: status.softwareVersion,
    applied_epoch: status.appliedEpoch,
    applied_sequence: status.appliedSequence.toString(),
    rejected: status.rejected,
    issuer_keys: status.issuerKeys,
    last_seen_time: status.lastSeenTime.toISOString(),
  }));
  // Locked in one order: replicas that write about the same proxies do not wait in a circle.
  await tx.execute(sql`
    with report as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id text, software_version text,
        applied_epoch text, applied_sequence bigint, rejected jsonb, issuer_keys jsonb, last_seen_time timestamptz)
    ), locked as (
      select id from proxies where id in (select id from report) order by id for update
    )
    update proxies as p set software_version = r.software_version, applied_epoch = r.applied_epoch,
      applied_sequence = r.applied_sequence, rejected = r.rejected, issuer_keys = r.issuer_keys,
      last_seen_time = r.last_seen_time
    from report as r join locked using (id)
    where p.id = r.id and (p.last_seen_time is null or p.last_seen_time <= r.last_seen_time)`);
}

/** Where a proxy stands, as far as rollouts ask. */
export type StandingRow = Pick<ProxyRow, "id" | "appliedEpoch" | "appliedSequence" | "rejected" | "lastSeenTime">;

/** Where all proxies stand that have not been revoked, by id. */
export function proxyStandings(reader: Reader): Promise<StandingRow[]> {
  const { id, appliedEpoch, appliedSequence, rejected, lastSeenTime } = proxies;
  const columns = { id, appliedEpoch, appliedSequence, rejected, lastSeenTime };
  return reader.select(columns).from(proxies).where(isNull(proxies.revokeTime)).orderBy(asc(id));
}

/** Proxies that reported about an issuer's keys, by id. @param issuer resource name */
export function proxiesWithKeysOf(reader: Reader, issuer: string, limit: number): Promise<ProxyRow[]> {
  const mentions = sql`${proxies.issuerKeys} @> ${JSON.stringify([{ issuer }])}::jsonb`;
  return reader.select().from(proxies).where(mentions).orderBy(asc(proxies.id)).limit(limit);
}

/** The proxy, locked until the transaction ends. */
export async function lockProxy(tx: Tx, id: string): Promise<ProxyRow | undefined> {
  const [row] = await tx.select().from(proxies).where(eq(proxies.id, id)).for("update");
  return row;
}

/** Whether a proxy has been revoked; false when there is none of that id. */
export async function isProxyRevoked(reader: Reader, id: string): Promise<boolean> {
  const [row] = await reader.select({ revokeTime: proxies.revokeTime }).from(proxies).where(eq(proxies.id, id));
  return row !== undefined && row.revokeTime !== null;
}

/** Changes what the API may change of a locked proxy; its version grows. */
export async function updateProxy(
  tx: Tx,
  id: string,
  change: Partial<Pick<ProxyRow, "displayName" | "revokeTime" | "rotateRequestTime">>,
): Promise<ProxyRow> {
  const set = { ...change, version: sql`${proxies.version} + 1` };
  return onlyRow(await tx.update(proxies).set(set).where(eq(proxies.id, id)).returning());
}

/** Credentials of a proxy. */
export type CredentialColumns = Pick<
  ProxyRow,
  | "credentialHash"
  | "credentialCreateTime"
  | "previousCredentialHash"
  | "previousCredentialExpireTime"
  | "rotateRequestTime"
>;

/** Replaces the credentials of a locked proxy. */
export async function setProxyCredentials(tx: Tx, id: string, columns: CredentialColumns): Promise<void> {
  await tx.update(proxies).set(columns).where(eq(proxies.id, id));
}

/** The credential before counts no more, since its successor, with this SHA-256, was used. */
export async function dropPreviousCredential(tx: Tx, credentialHash: string): Promise<void> {
  const none = { previousCredentialHash: null, previousCredentialExpireTime: null };
  await tx.update(proxies).set(none).where(eq(proxies.credentialHash, credentialHash));
}

/** Its credential is refused from then on. */
export async function deleteProxy(tx: Tx, id: string): Promise<void> {
  await tx.delete(proxies).where(eq(proxies.id, id));
}
