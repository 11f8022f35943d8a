import { getTableColumns, type Query, type SQL, sql } from "drizzle-orm";
import { type AnyPgColumn, PgDialect, type PgTable, QueryBuilder } from "drizzle-orm/pg-core";
import type { Reader } from "./database.ts";

/** Values by name of placeholder. Lists of text: as JSON, see `textsOf`. */
export type QueryValues = Readonly<Record<string, string>>;

/**
 * A hot statement: its SQL is written once, and PostgreSQL parses it once per connection. Building one anew costs more CPU
 * than running it. Its text never depends on the values: each text stays with the connection for good.
 */
export interface PreparedQuery<Row> {
  /** Rows in the database's order. */
  run(reader: Reader, values: QueryValues): Promise<Row[]>;
}

/**
 * Whole rows of a table.
 * @param condition with `sql.placeholder(name)` for its values
 * @param isLocking whether the rows stay locked until the transaction ends
 */
export function preparedSelect<Table extends PgTable>(
  table: Table,
  condition: SQL,
  isLocking = false,
): PreparedQuery<Table["$inferSelect"]> {
  const rows = new QueryBuilder()
    .select()
    .from(table as PgTable)
    .where(condition);
  const query = isLocking ? rows.for("update") : rows;
  const columns = Object.entries<AnyPgColumn>(getTableColumns(table));
  const rowOf = (values: readonly unknown[]): Table["$inferSelect"] =>
    Object.fromEntries(columns.map(([name, column], index) => [name, readValue(column, values[index])]));
  return preparedAs(query.toSQL(), rowOf);
}

/** A statement in SQL of our own. @param columns what it answers, in order, by name */
export function preparedSql<Row extends Record<string, unknown> = Record<string, never>>(
  statement: SQL,
  columns: { readonly [Name in keyof Row]: AnyPgColumn } = {} as { readonly [Name in keyof Row]: AnyPgColumn },
): PreparedQuery<Row> {
  const named = Object.entries<AnyPgColumn>(columns);
  const rowOf = (values: readonly unknown[]): Row =>
    Object.fromEntries(named.map(([name, column], index) => [name, readValue(column, values[index])])) as Row;
  return preparedAs(new PgDialect().sqlToQuery(statement), rowOf);
}

const readValue = (column: AnyPgColumn, value: unknown): unknown =>
  value === null || value === undefined ? null : column.mapFromDriverValue(value);

function preparedAs<Row>(
  { sql: text, params }: Pick<Query, "sql" | "params">,
  rowOf: (values: readonly unknown[]) => Row,
): PreparedQuery<Row> {
  const rowsOf = (rows: unknown[][]): Row[] => rows.map(rowOf);
  return {
    async run(reader, values) {
      // drizzle prepares whatever has a name; the text itself is what tells statements apart.
      const query = reader._.session.prepareQuery({ sql: text, params }, undefined, "hot", true, rowsOf);
      return (await query.execute({ ...values })) as Row[];
    },
  };
}

/** In a statement: the texts of a list, which is given as `JSON.stringify(list)`. One text of SQL for lists of any length. */
export const textsOf = (placeholder: string): SQL =>
  sql`array(select jsonb_array_elements_text(${sql.placeholder(placeholder)}::text::jsonb))`;
