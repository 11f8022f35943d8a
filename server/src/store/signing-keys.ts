import { and, asc, eq, inArray } from "drizzle-orm";
import type { SigningKeyState } from "../model/signing-key.ts";
import type { Reader, Tx } from "./database.ts";
import { insertedRow } from "./row-change.ts";
import { signingKeys } from "./schema.ts";

/** The private JWK is sealed for {table: "signing_keys", column: "sealed_private_jwk", project, row: kid, version: 1}. */
export type SigningKeyRow = typeof signingKeys.$inferSelect;

/** @throws ConduitError `resource_exists` when the key is known, or the project has another ACTIVE one */
export async function insertSigningKey(tx: Tx, row: SigningKeyRow): Promise<SigningKeyRow> {
  return insertedRow(await tx.insert(signingKeys).values(row).onConflictDoNothing().returning());
}

/** The key that signs now; undefined when the project has none. */
export async function activeSigningKey(reader: Reader, project: string): Promise<SigningKeyRow | undefined> {
  const isActive = and(eq(signingKeys.project, project), eq(signingKeys.state, "ACTIVE"));
  const [row] = await reader.select().from(signingKeys).where(isActive);
  return row;
}

/** Keys of a project in any of these states, oldest first. */
export function listSigningKeys(
  reader: Reader,
  project: string,
  states: readonly SigningKeyState[],
): Promise<SigningKeyRow[]> {
  const wanted = and(eq(signingKeys.project, project), inArray(signingKeys.state, [...states]));
  return reader.select().from(signingKeys).where(wanted).orderBy(asc(signingKeys.createTime), asc(signingKeys.kid));
}
