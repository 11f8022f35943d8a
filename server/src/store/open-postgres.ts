import { sql } from "drizzle-orm";
import { EXIT, ExitError, refusedByEnvironment, wrongSetting } from "../model/exit.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { Database, Tx } from "./database.ts";
import type { Driver, TransactionMode } from "./driver.ts";
import { driverCode, fromDriverError, isConnectionFailure, isConnectionLost } from "./driver-error.ts";
import { migrate } from "./migrate.ts";
import { beginningOf, createConnection, type PostgresConnection, type PostgresRoute } from "./postgres-connection.ts";
import { type PostgresListener, startListener } from "./postgres-listener.ts";
import { createPool } from "./postgres-pool.ts";

const POOL_SIZE_DEFAULT = 10;
/** Any number that no other program uses for its own advisory locks in this database. */
const MIGRATION_LOCK = 7_164_901_325;

const BEGIN: Readonly<Record<Exclude<TransactionMode, "statement">, string>> = {
  write: "begin",
  snapshot: "begin isolation level repeatable read read only",
};

/** Where PostgreSQL is. */
export interface PostgresLocation {
  /** To PostgreSQL, or to a pooler that gives connections by transaction; then `listenUrl` leads past it. */
  readonly url: SecretText;
  /** Default: `url`, which then leads straight to PostgreSQL. */
  readonly listenUrl?: SecretText;
  /** Connections at most, besides the one that listens; default 10. */
  readonly poolSize?: number;
}

/**
 * Opens PostgreSQL and brings its tables up to date; replicas that start together take turns.
 * @throws ExitError (2: wrong URL, user, password or database; 3: made by a newer version; 5: nobody answers), never with
 *   the password in it
 */
export async function openPostgres(location: PostgresLocation): Promise<Driver> {
  const { listenUrl, poolSize = POOL_SIZE_DEFAULT } = location;
  const given = parseDatabaseUrl(location.url, "DATABASE_URL");
  const direct = listenUrl === undefined ? given : parseDatabaseUrl(listenUrl, "DATABASE_LISTEN_URL");
  const route: PostgresRoute = { url: given.href, isPooled: listenUrl !== undefined };
  await checked(listenUrl === undefined ? "DATABASE_URL" : "DATABASE_LISTEN_URL", direct, () =>
    migrateOnce(direct.href),
  );
  if (route.isPooled) await checked("DATABASE_URL", given, () => tryOnce(route));
  const pool = createPool(() => createConnection(route), poolSize);
  let listener: PostgresListener | undefined;
  return {
    kind: "postgres",
    transact: (fn, mode) =>
      pool.use((connection) =>
        mode === "statement" ? lend(connection, fn, 1) : transact(connection, fn, beginningOf(route, BEGIN[mode])),
      ),
    read: (fn) => pool.use((connection) => lend(connection, fn)),
    async listen(wake) {
      listener = await startListener(direct.href, wake);
    },
    async close() {
      await Promise.all([listener?.stop(), pool.close()]);
    },
  };
}

/** Begin, `fn`, commit. After a lost connection nothing more is sent on it: the server has rolled back. */
async function transact<T>(connection: PostgresConnection, fn: (tx: Tx) => Promise<T>, begin: string): Promise<T> {
  try {
    await connection.command(begin);
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

/** Names of the variables that the URLs come from, for errors. */
type UrlVariable = "DATABASE_URL" | "DATABASE_LISTEN_URL";

function parseDatabaseUrl(databaseUrl: SecretText, variable: UrlVariable): URL {
  const text = databaseUrl.reveal();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
    throw wrongSetting(
      `${variable}: give postgres://user:password@host:port/database, reserved characters percent-encoded`,
    );
  return url;
}

async function checked(variable: UrlVariable, { hostname, port }: URL, reach: () => Promise<void>): Promise<void> {
  try {
    await reach();
  } catch (cause) {
    throw cause instanceof ExitError
      ? cause
      : openFailure(cause, variable, `${hostname || "localhost"}:${port || "5432"}`);
  }
}

/** Reaches the pooler, so that a wrong URL is told at the start and not by the first call. */
async function tryOnce(route: PostgresRoute): Promise<void> {
  const connection = createConnection(route);
  try {
    await connection.connect();
  } finally {
    await connection.end();
  }
}

/** Replicas that start together take turns: all but the first find nothing left to do. */
async function migrateOnce(url: string): Promise<void> {
  const connection = createConnection({ url, isPooled: false });
  try {
    await connection.connect();
    // Waiting for another replica's migration, and migrating, may take longer than a statement of the API.
    await connection.command("set statement_timeout = 0; set lock_timeout = 0");
    const run = async (tx: Tx): Promise<void> => {
      await tx.execute(sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
      await migrate(tx, "DATABASE_URL: the database");
    };
    await transact(connection, run, BEGIN.write);
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

function openFailure(error: unknown, variable: UrlVariable, where: string): ExitError {
  const code = driverCode(error);
  // The driver's own message may hold the URL; ours names the place and the code.
  const { cause } = fromDriverError(error);
  const refused = REFUSED[code];
  if (refused !== undefined) return new ExitError(EXIT.usage, `${variable}: ${where} ${refused}`, { cause });
  if (code === "25006")
    return new ExitError(EXIT.unreachable, `${variable}: the database at ${where} is read-only`, { cause });
  if (code === "42501")
    return refusedByEnvironment(`${variable}: this user may not create tables in the database at ${where}`, cause);
  if (isConnectionFailure(error))
    return new ExitError(EXIT.unreachable, `${variable}: no PostgreSQL answers at ${where} (${code})`, { cause });
  return new ExitError(EXIT.failed, `${variable}: the database at ${where} cannot be brought up to date (${code})`, {
    cause,
  });
}
