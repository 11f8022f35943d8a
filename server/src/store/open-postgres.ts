import { sql } from "drizzle-orm";
import { EXIT, ExitError, refusedByEnvironment, wrongSetting } from "../model/exit.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { Database, Tx } from "./database.ts";
import type { Driver, TransactionMode } from "./driver.ts";
import { driverCode, fromDriverError, isConnectionFailure, isConnectionLost } from "./driver-error.ts";
import { migrate } from "./migrate.ts";
import { createConnection, type PostgresConnection } from "./postgres-connection.ts";
import { type PostgresListener, startListener } from "./postgres-listener.ts";
import { createPool } from "./postgres-pool.ts";

const POOL_SIZE = 10;
/** Any number that no other program uses for its own advisory locks in this database. */
const MIGRATION_LOCK = 7_164_901_325;

const BEGIN: Readonly<Record<Exclude<TransactionMode, "statement">, string>> = {
  write: "begin",
  snapshot: "begin isolation level repeatable read read only",
};

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
  const pool = createPool(() => createConnection(url.href), POOL_SIZE);
  let listener: PostgresListener | undefined;
  return {
    kind: "postgres",
    transact: (fn, mode) =>
      pool.use((connection) => (mode === "statement" ? lend(connection, fn, 1) : transact(connection, fn, mode))),
    read: (fn) => pool.use((connection) => lend(connection, fn)),
    async listen(wake) {
      listener = await startListener(url.href, wake);
    },
    async close() {
      await Promise.all([listener?.stop(), pool.close()]);
    },
  };
}

/** Begin, `fn`, commit. After a lost connection nothing more is sent on it: the server has rolled back. */
async function transact<T>(
  connection: PostgresConnection,
  fn: (tx: Tx) => Promise<T>,
  mode: keyof typeof BEGIN,
): Promise<T> {
  try {
    await connection.command(BEGIN[mode]);
    const value = await lend(connection, fn);
    // A transaction in which a statement failed answers COMMIT with ROLLBACK, and no error.
    if ((await connection.command("commit")) !== "COMMIT") throw new TypeError("a failed transaction was committed");
    return value;
  } catch (error) {
    if (isConnectionLost(error)) connection.discard();
    if (!connection.isLost) await connection.command("rollback").catch(() => connection.discard());
    throw error;
  }
}

/** Gives `fn` the database for as long as it runs and so many statements, and no longer. */
async function lend<T>(
  connection: PostgresConnection,
  fn: (database: Database) => Promise<T>,
  statementsMax = Number.POSITIVE_INFINITY,
): Promise<T> {
  let isOpen = true;
  let statements = 0;
  const mayRun = (): boolean => {
    statements += 1;
    if (statements > statementsMax) throw new TypeError("a second statement would be a transaction of its own");
    return isOpen;
  };
  try {
    return await fn(connection.database(mayRun));
  } catch (error) {
    if (isConnectionLost(error)) connection.discard();
    throw error;
  } finally {
    isOpen = false;
  }
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

/** Replicas that start together take turns: all but the first find nothing left to do. */
async function migrateOnce(url: string): Promise<void> {
  const connection = createConnection(url);
  try {
    await connection.connect();
    // Waiting for another replica's migration, and migrating, may take longer than a statement of the API.
    await connection.command("set statement_timeout = 0; set lock_timeout = 0");
    const run = async (tx: Tx): Promise<void> => {
      await tx.execute(sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
      await migrate(tx, "DATABASE_URL: the database");
    };
    await transact(connection, run, "write");
  } finally {
    await connection.end();
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
  const { cause } = fromDriverError(error);
  const refused = REFUSED[code];
  if (refused !== undefined) return new ExitError(EXIT.usage, `DATABASE_URL: ${where} ${refused}`, { cause });
  if (code === "42501")
    return refusedByEnvironment(`DATABASE_URL: this user may not create tables in the database at ${where}`, cause);
  if (isConnectionFailure(error))
    return new ExitError(EXIT.unreachable, `DATABASE_URL: no PostgreSQL answers at ${where} (${code})`, { cause });
  return new ExitError(EXIT.failed, `DATABASE_URL: the database at ${where} cannot be brought up to date (${code})`, {
    cause,
  });
}
