import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { EXIT, ExitError, refusedByEnvironment, wrongSetting } from "../model/exit.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { Database } from "./database.ts";
import { driverCode, fromDriverError, isConnectionFailure } from "./driver-error.ts";
import { MIGRATIONS, refuseNewer } from "./migrate.ts";
import type { Driver } from "./store.ts";
import { WAKE_CHANNEL } from "./wake-channel.ts";

/** A statement, a wait for a lock, a transaction left open: none may hold others up for longer. */
const SESSION = {
  application_name: "conduit-server",
  statement_timeout: 15_000,
  lock_timeout: 10_000,
  idle_in_transaction_session_timeout: 20_000,
};
const CONNECT_TIMEOUT_S = 10;
const POOL_MAX = 10;
/** Any number that no other program uses for its own advisory locks in this database. */
const MIGRATION_LOCK = 7_164_901_325;

/**
 * Opens PostgreSQL and brings its tables up to date; replicas that start together take turns.
 * @throws ExitError (2: wrong URL, user, password or database; 3: made by a newer version; 5: nobody answers), never with
 *   the password in it
 */
export async function openPostgres(databaseUrl: SecretText): Promise<Driver> {
  const url = parseDatabaseUrl(databaseUrl);
  const where = `${url.hostname || "localhost"}:${url.port || "5432"}`;
  try {
    await migrateOnce(url.href);
  } catch (cause) {
    throw cause instanceof ExitError ? cause : openFailure(cause, where);
  }
  const client = postgres(url.href, {
    max: POOL_MAX,
    connect_timeout: CONNECT_TIMEOUT_S,
    connection: SESSION,
    onnotice: () => {},
  });
  return {
    kind: "postgres",
    database: drizzle(client) as unknown as Database,
    // The second `wake` is called on every LISTEN, the first one and those after a lost connection: what was sent in
    // between is lost, so the listener must look.
    listen: async (wake) => void (await client.listen(WAKE_CHANNEL, wake, wake)),
    close: () => client.end({ timeout: 5 }),
  };
}

function parseDatabaseUrl(databaseUrl: SecretText): URL {
  const text = databaseUrl.reveal();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
    throw wrongSetting(
      "DATABASE_URL: give postgres://user:password@host:port/database, reserved characters percent-encoded",
    );
  return url;
}

/** drizzle's migrator takes no lock: of several at once all but one fail. So: one connection, one advisory lock. */
async function migrateOnce(url: string): Promise<void> {
  const client = postgres(url, {
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_S,
    connection: { application_name: "conduit-migrate" },
    onnotice: () => {},
  });
  try {
    await client`select pg_advisory_lock(${MIGRATION_LOCK}::bigint)`;
    const database = drizzle(client);
    await refuseNewer(database as unknown as Database, "DATABASE_URL: the database");
    await migrate(database, MIGRATIONS);
  } finally {
    // Ending the session releases the lock.
    await client.end({ timeout: 5 });
  }
}

/** Codes of a refused log-in, and what to look at. */
const REFUSED: Readonly<Record<string, string>> = {
  "28P01": "refuses this user name or password",
  "28000": "refuses this user",
  "3D000": "has no database of this name",
  SASL_SIGNATURE_MISMATCH: "refuses this user name or password",
};

function openFailure(error: unknown, where: string): ExitError {
  const code = driverCode(error);
  // The driver's own message may hold the URL; ours names the place and the code.
  const cause = fromDriverError(error).cause;
  const refused = REFUSED[code];
  if (refused !== undefined) return new ExitError(EXIT.usage, `DATABASE_URL: ${where} ${refused}`, { cause });
  if (code === "42501")
    return refusedByEnvironment(
      `DATABASE_URL: this user may not create tables or schemas in the database at ${where}`,
      cause,
    );
  if (isConnectionFailure(error))
    return new ExitError(EXIT.unreachable, `DATABASE_URL: no PostgreSQL answers at ${where} (${code})`, { cause });
  return new ExitError(EXIT.failed, `DATABASE_URL: the database at ${where} cannot be brought up to date (${code})`, {
    cause,
  });
}
