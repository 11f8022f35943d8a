import type { SQL } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";

/** drizzle over either driver. */
export type Database = PgDatabase<PgQueryResultHKT>;

/** One transaction: everything done through it happens together or not at all. */
export type Tx = Database;

/** What functions that only read take: a transaction, or the database outside of one. */
export type Reader = Pick<Database, "select" | "execute" | "_">;

/** Runs SQL of our own and returns its rows: PGlite answers `{rows}`, postgres.js an array. */
export async function rowsOf<Row extends Record<string, unknown>>(reader: Reader, query: SQL): Promise<Row[]> {
  const result: unknown = await reader.execute(query);
  return Array.isArray(result) ? result : (result as { rows: Row[] }).rows;
}

/** The row that a statement must have answered. @throws TypeError a bug of ours */
export function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new TypeError("the statement answered no row");
  return row;
}
