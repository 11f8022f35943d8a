import { type SQL, sql } from "drizzle-orm";
import { rowsOf, type Tx } from "./database.ts";

/** A column of sealed values, and where each lies as its seal is bound to it. */
export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  /** Column that names the row; it is unique together with the project. */
  readonly row: string;
  /** Column that holds the value's version; absent: always 1. */
  readonly version?: string;
  /** False: the installation's, which has no project. */
  readonly inProject: boolean;
}

/** Every sealed column of the schema: a test compares them, so that none is left behind when keys rotate. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: "installation", column: "sealed_fleet_key", row: "id", version: "fleet_key_version", inProject: false },
  { table: "installation", column: "sealed_installation_key", row: "id", inProject: false },
  { table: "secrets", column: "sealed_value", row: "id", version: "value_version", inProject: true },
  { table: "secrets", column: "sealed_next_value", row: "id", version: "next_value_version", inProject: true },
  { table: "sessions", column: "sealed_refresh_key", row: "id", inProject: true },
  { table: "signing_keys", column: "sealed_private_jwk", row: "kid", inProject: true },
];

/** A sealed value and its place. */
export interface SealedValue {
  readonly row: string;
  readonly version: number;
  readonly sealed: Uint8Array;
}

const name = (text: string): SQL => sql`${sql.identifier(text)}`;

const ofProject = ({ inProject }: SealedColumn, project: string): SQL =>
  inProject ? sql`"project" = ${project}` : sql`true`;

/** Values of a project ("" = the installation) that do not begin with `prefix`, locked, at most `limit`. */
export async function lockSealedOtherwise(
  tx: Tx,
  column: SealedColumn,
  project: string,
  prefix: Uint8Array,
  limit: number,
): Promise<SealedValue[]> {
  const version = column.version === undefined ? sql`1` : name(column.version);
  const value = name(column.column);
  const isOther = sql`substring(${value} from 1 for ${prefix.length}) <> ${Buffer.from(prefix)}`;
  const rows = await rowsOf<{ row: string; version: number; sealed: Uint8Array }>(
    tx,
    sql`select ${name(column.row)}::text as "row", ${version}::int as "version", ${value} as "sealed"
      from ${name(column.table)} where ${ofProject(column, project)} and ${value} is not null and ${isOther}
      order by 1 limit ${limit} for update`,
  );
  return rows.map((row) => ({ ...row, sealed: new Uint8Array(row.sealed) }));
}

/** Keeps the same value sealed otherwise. Its row's version stays: the value has not changed. */
export async function replaceSealed(tx: Tx, column: SealedColumn, project: string, value: SealedValue): Promise<void> {
  await tx.execute(
    sql`update ${name(column.table)} set ${name(column.column)} = ${Buffer.from(value.sealed)}
      where ${ofProject(column, project)} and ${name(column.row)}::text = ${value.row}`,
  );
}
