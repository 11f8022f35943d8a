import { desc, eq, isNull } from "drizzle-orm";
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

type Stored = typeof dataKeys.$inferSelect;

const toRow = ({ id, project, masterKeyId, wrappedKey }: Stored): DataKeyRow => ({
  id,
  project: project ?? "",
  masterKeyId,
  wrappedKey,
});

export async function insertDataKey(tx: Tx, row: DataKeyRow, createTime: Date): Promise<void> {
  await tx.insert(dataKeys).values({ ...row, project: row.project === "" ? null : row.project, createTime });
}

/** The key that seals new values of a project ("" = the installation): its newest. Undefined when it has none. */
export async function currentDataKey(reader: Reader, project: string): Promise<DataKeyRow | undefined> {
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
