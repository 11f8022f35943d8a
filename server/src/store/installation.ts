import { eq } from "drizzle-orm";
import { onlyRow, type Reader, type Tx } from "./database.ts";
import { installation } from "./schema.ts";

export type InstallationRow = typeof installation.$inferSelect;

const ONLY_ROW = 1;

/** The installation; undefined before the first start has written it. */
export async function getInstallation(reader: Reader): Promise<InstallationRow | undefined> {
  const [row] = await reader.select().from(installation).where(eq(installation.row, ONLY_ROW));
  return row;
}

/** The installation, made from `fresh` when there is none yet; of several that start at once one wins. */
export async function ensureInstallation(
  tx: Tx,
  fresh: Pick<InstallationRow, "id" | "createdVersion" | "createTime">,
): Promise<InstallationRow> {
  await tx
    .insert(installation)
    .values({ row: ONLY_ROW, ...fresh })
    .onConflictDoNothing();
  const [row] = await tx.select().from(installation).where(eq(installation.row, ONLY_ROW)).for("update");
  if (row === undefined) throw new TypeError("the installation's row is gone");
  return row;
}

/** The installation; whoever wants to change it waits for the end of this transaction. */
export async function shareInstallation(tx: Tx): Promise<InstallationRow> {
  return onlyRow(await tx.select().from(installation).where(eq(installation.row, ONLY_ROW)).for("share"));
}

/** The installation; everyone else who locks it waits for the end of this transaction. */
export async function lockInstallation(tx: Tx): Promise<InstallationRow> {
  return onlyRow(await tx.select().from(installation).where(eq(installation.row, ONLY_ROW)).for("update"));
}

/** Keeps the fleet key, sealed for a version. */
export async function setFleetKey(tx: Tx, sealedFleetKey: Uint8Array, fleetKeyVersion: number): Promise<void> {
  await tx.update(installation).set({ sealedFleetKey, fleetKeyVersion }).where(eq(installation.row, ONLY_ROW));
}

/** Keeps the installation's own key, sealed. */
export async function setInstallationKey(tx: Tx, sealedInstallationKey: Uint8Array): Promise<void> {
  await tx.update(installation).set({ sealedInstallationKey }).where(eq(installation.row, ONLY_ROW));
}
