import { and, eq, sql } from "drizzle-orm";
import { EMPTY_DIGEST } from "../model/config-digest.ts";
import { ConduitError } from "../model/errors.ts";
import { onlyRow, type Reader, rowsOf, type Tx } from "./database.ts";
import { configHead, configTx } from "./schema.ts";
import { WAKE_CHANNEL } from "./wake-channel.ts";

/** The one fleet of an installation: every proxy serves every project. */
export const FLEET = "default";

/** The end of the log. */
export type ConfigHead = Omit<typeof configHead.$inferSelect, "fleet" | "updateTime">;

/** Which database cluster this is: a backup restored elsewhere has another identifier, one rolled back another timeline. */
export interface ClusterIdentity {
  /** "" = it does not tell (a managed service may forbid the question). */
  readonly systemIdentifier: string;
  readonly timeline: number;
}

const isOurs = eq(configHead.fleet, FLEET);

const columns = {
  epoch: configHead.epoch,
  sequence: configHead.sequence,
  compactedSequence: configHead.compactedSequence,
  digest: configHead.digest,
  systemIdentifier: configHead.systemIdentifier,
  timeline: configHead.timeline,
};

/** The head; undefined before the first start has made it. */
export async function getConfigHead(reader: Reader): Promise<ConfigHead | undefined> {
  const [row] = await reader.select(columns).from(configHead).where(isOurs);
  return row;
}

/** The head, and the digest the log holds for a sequence seen before: undefined = the log does not hold it. */
export async function getConfigHeadAnd(
  reader: Reader,
  sequence: bigint,
): Promise<{ readonly head: ConfigHead; readonly digest: Uint8Array | undefined } | undefined> {
  const seen = and(eq(configTx.fleet, configHead.fleet), eq(configTx.sequence, sequence));
  const rows = reader.select({ head: columns, digest: configTx.digest }).from(configHead).leftJoin(configTx, seen);
  const [row] = await rows.where(isOurs);
  return row && { head: row.head, digest: row.digest ?? undefined };
}

/** Reads the head and keeps its lock until the transaction ends: nobody appends meanwhile. */
export async function lockConfigHead(tx: Tx): Promise<ConfigHead | undefined> {
  const [row] = await tx.select(columns).from(configHead).where(isOurs).for("update");
  return row;
}

/** Makes the head of an empty log, unless there is one. */
export async function insertConfigHead(
  tx: Tx,
  epoch: string,
  { systemIdentifier, timeline }: ClusterIdentity,
): Promise<void> {
  const updateTime = sql`clock_timestamp()`;
  const row = { fleet: FLEET, epoch, digest: EMPTY_DIGEST, systemIdentifier, timeline, updateTime };
  await tx.insert(configHead).values(row).onConflictDoNothing();
}

/** Starts a new history, and tells every replica: every proxy takes a snapshot. The caller holds the head's lock. */
export async function setConfigEpoch(
  tx: Tx,
  epoch: string,
  { systemIdentifier, timeline }: ClusterIdentity,
): Promise<ConfigHead> {
  const change = { epoch, systemIdentifier, timeline, updateTime: sql`clock_timestamp()` };
  const head = onlyRow(await tx.update(configHead).set(change).where(isOurs).returning(columns));
  await tx.execute(sql`select pg_notify(${WAKE_CHANNEL}, '')`);
  return head;
}

/** Asks the cluster who it is. */
export async function clusterIdentity(reader: Reader): Promise<ClusterIdentity> {
  const query = sql`select (pg_control_system()).system_identifier::text as identifier,
    (pg_control_checkpoint()).timeline_id as timeline`;
  const row = onlyRow(await rowsOf<{ identifier: string; timeline: number }>(reader, query));
  return { systemIdentifier: row.identifier, timeline: row.timeline };
}

/** The head that must be there once the process has started. @throws ConduitError `not_ready` */
export function knownHead(head: ConfigHead | undefined): ConfigHead {
  if (head === undefined) throw new ConduitError("not_ready", { detail: "The configuration log has not been started" });
  return head;
}
