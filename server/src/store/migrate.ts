import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { refusedByEnvironment } from "../model/exit.ts";
import { type Reader, rowsOf } from "./database.ts";

/** What both drivers' migrators need. */
export const MIGRATIONS = { migrationsFolder: fileURLToPath(new URL("./migrations", import.meta.url)) };

/** `when` of the newest migration this version knows: milliseconds since the epoch. */
function newestKnown(): number {
  const journal = JSON.parse(readFileSync(`${MIGRATIONS.migrationsFolder}/meta/_journal.json`, "utf8")) as {
    entries: readonly { readonly when: number }[];
  };
  return Math.max(...journal.entries.map(({ when }) => when));
}

/**
 * Refuses a database that a newer version has migrated: this one would not know its tables, and drizzle would not notice.
 * @throws ExitError (3); `what` names the database in it
 */
export async function refuseNewer(reader: Reader, what: string): Promise<void> {
  const journal = sql`select to_regclass('drizzle.__drizzle_migrations') is not null as found`;
  const [table] = await rowsOf<{ found: boolean }>(reader, journal);
  if (table?.found !== true) return;
  const newest = sql`select coalesce(max(created_at), 0)::text as newest from drizzle.__drizzle_migrations`;
  const [applied] = await rowsOf<{ newest: string }>(reader, newest);
  if (Number(applied?.newest ?? 0) <= newestKnown()) return;
  throw refusedByEnvironment(
    `${what} was made by a newer version of Conduit Link: start that version, or use other data`,
  );
}
