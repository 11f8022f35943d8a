import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { type MigrationMeta, readMigrationFiles } from "drizzle-orm/migrator";
import { refusedByEnvironment } from "../model/exit.ts";
import { onlyRow, type Reader, rowsOf, type Tx } from "./database.ts";

const FOLDER = fileURLToPath(new URL("./migrations", import.meta.url));

/** The table drizzle keeps too, so that its tools work on our databases. */
const JOURNAL = sql`drizzle.__drizzle_migrations`;

/**
 * Brings the tables up to date, in one transaction. The caller sees to it that only one does so at a time.
 * @param what names the database in errors
 * @throws ExitError (3) when a newer version has migrated it: this one would not know its tables
 */
export async function migrate(tx: Tx, what: string): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder: FOLDER });
  const applied = await newestApplied(tx);
  const newestKnown = Math.max(...migrations.map(({ folderMillis }) => folderMillis));
  if (applied > newestKnown)
    throw refusedByEnvironment(
      `${what} was made by a newer version of Conduit Link: start that version, or use other data`,
    );
  if (applied === newestKnown) return;
  await tx.execute(sql`create schema if not exists drizzle`);
  await tx.execute(
    sql`create table if not exists ${JOURNAL} (id serial primary key, hash text not null, created_at bigint)`,
  );
  for (const migration of migrations) if (migration.folderMillis > applied) await apply(tx, migration);
}

async function apply(tx: Tx, { sql: statements, hash, folderMillis }: MigrationMeta): Promise<void> {
  for (const statement of statements) await tx.execute(sql.raw(statement));
  await tx.execute(sql`insert into ${JOURNAL} (hash, created_at) values (${hash}, ${folderMillis})`);
}

/** When the newest applied migration was made, milliseconds since the epoch; 0 = none. */
async function newestApplied(reader: Reader): Promise<number> {
  const found = sql`select to_regclass('drizzle.__drizzle_migrations') is not null as found`;
  if (!onlyRow(await rowsOf<{ found: boolean }>(reader, found)).found) return 0;
  const newest = sql`select coalesce(max(created_at), 0)::text as newest from ${JOURNAL}`;
  return Number(onlyRow(await rowsOf<{ newest: string }>(reader, newest)).newest);
}
