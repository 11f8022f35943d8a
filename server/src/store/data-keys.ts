import { and, asc, count, desc, eq, gt, isNull, ne } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { dataKeys } from "./schema.ts";

/** A wrapped data key as sealing/keyring.ts takes and gives it. */
export interface DataKeyRow {
  readonly id: string;
  /** Project id; "" = the installation. */
  readonly project: string;
  readonly masterKeyId: string;
  readonly wrappedKey: Uint8Array;
}

/** A data key that is stored. */
export interface StoredDataKey extends DataKeyRow {
  readonly createTime: Date;
}

type Stored = typeof dataKeys.$inferSelect;

const toRow = ({ id, project, masterKeyId, wrappedKey, createTime }: Stored): StoredDataKey => ({
  createTime,
  id,
  project: project ?? "",
  masterKeyId,
  wrappedKey,
});

export async function insertDataKey(tx: Tx, row: DataKeyRow, createTime: Date): Promise<void> {
  const { id, project, masterKeyId, wrappedKey } = row;
  await tx
    .insert(dataKeys)
    .values({ id, project: project === "" ? null : project, masterKeyId, wrappedKey, createTime });
}

/** The key that seals new values of a project ("" = the installation): its newest. Undefined when it has none. */
export async function currentDataKey(reader: Reader, project: string): Promise<StoredDataKey | undefined> {
  const owner = project === "" ? isNull(dataKeys.project) : eq(dataKeys.project, project);
  const newest = [desc(dataKeys.createTime), desc(dataKeys.id)];
  const [row] = await reader
    .select()
    .from(dataKeys)
    .where(owner)
    .orderBy(...newest)
    .limit(1);
  return row && toRow(row);
}

/** The key with this id, which a sealed value names; undefined when it is gone. */
export async function getDataKey(reader: Reader, id: string): Promise<DataKeyRow | undefined> {
  const [row] = await reader.select().from(dataKeys).where(eq(dataKeys.id, id));
  return row && toRow(row);
}

/** How many data keys each master key wraps, by master key id. */
export function countDataKeys(reader: Reader): Promise<Array<{ masterKeyId: string; dataKeys: number }>> {
  const { masterKeyId, id } = dataKeys;
  const counted = reader
    .select({ masterKeyId, dataKeys: count(id) })
    .from(dataKeys)
    .groupBy(masterKeyId);
  return counted.orderBy(asc(masterKeyId));
}

/** Keys that another master key wraps than this one, after `afterId` ("" = from the first), locked. */
export async function lockDataKeysNotUnder(
  tx: Tx,
  masterKeyId: string,
  afterId: string,
  limit: number,
): Promise<DataKeyRow[]> {
  const isAfter = afterId === "" ? undefined : gt(dataKeys.id, afterId);
  const wanted = and(ne(dataKeys.masterKeyId, masterKeyId), isAfter);
  const rows = await tx.select().from(dataKeys).where(wanted).orderBy(asc(dataKeys.id)).limit(limit).for("update");
  return rows.map(toRow);
}

/** Keeps the same key wrapped otherwise. */
export async function replaceWrapping(tx: Tx, { id, masterKeyId, wrappedKey }: DataKeyRow): Promise<void> {
  await tx.update(dataKeys).set({ masterKeyId, wrappedKey }).where(eq(dataKeys.id, id));
}
