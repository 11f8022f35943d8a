import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { drizzle } from "drizzle-orm/pglite";
import type { Clock } from "../clock.ts";
import { ExitError, refusedByEnvironment } from "../model/exit.ts";
import type { Database } from "./database.ts";
import { lockDirectory } from "./directory-lock.ts";
import type { Driver, TransactionMode } from "./driver.ts";
import { fromDriverError } from "./driver-error.ts";
import { migrate } from "./migrate.ts";
import { WAKE_CHANNEL } from "./wake-channel.ts";

/** PostgreSQL inside PGlite: a directory of another major version cannot be opened. */
export const PGLITE_MAJOR_VERSION = "18";

/**
 * Opens the embedded database in `<dataDir>/pglite`, making it on the first start (about 3 s; later starts 0.3 s).
 * Its durability: survives `kill -9` of the process; a crash of the machine may lose or damage it (PGlite does not fsync).
 * @throws ExitError (3) while another process has it, when a newer version made it, when it cannot be opened
 */
export async function openPglite(dataDir: string, clock: Clock): Promise<Driver> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(join(dataDir, "pglite.lock"), dataDir, clock);
  try {
    const folder = join(dataDir, "pglite");
    refuseOtherMajor(folder, dataDir);
    const driver = await start(() => PGlite.create({ dataDir: folder }), `the data directory ${dataDir}`);
    return { ...driver, close: () => driver.close().finally(() => lock.release()) };
  } catch (cause) {
    lock.release();
    throw cause;
  }
}

/** Opens an embedded database that lives as long as the process: for tests. */
export const openPgliteInMemory = (): Promise<Driver> => start(() => PGlite.create(), "the database in memory");

async function start(create: () => Promise<PGlite>, what: string): Promise<Driver> {
  let client: PGlite | undefined;
  try {
    const opened = await create();
    client = opened;
    const driver = pgliteDriver(opened, drizzle(opened) as unknown as Database);
    await driver.transact((tx) => migrate(tx, what), "write");
    return driver;
  } catch (cause) {
    await client?.close();
    if (cause instanceof ExitError) throw cause;
    throw refusedByEnvironment(
      `${what} cannot be opened: it is damaged, full or not ours to write; restore a copy, or give another --data-dir`,
      fromDriverError(cause).cause,
    );
  }
}

const CONFIGS: Readonly<Record<TransactionMode, Parameters<Database["transaction"]>[1]>> = {
  write: undefined,
  statement: undefined,
  snapshot: { isolationLevel: "repeatable read", accessMode: "read only" },
};

/** PGlite has one connection, and lets others wait while a transaction has it. */
const pgliteDriver = (client: PGlite, database: Database): Driver => ({
  kind: "pglite",
  transact: (fn, mode) => database.transaction(fn, CONFIGS[mode]),
  read: (fn) => fn(database),
  listen: async (wake) => void (await client.listen(WAKE_CHANNEL, wake)),
  close: () => client.close(),
});

function refuseOtherMajor(folder: string, dataDir: string): void {
  let major: string;
  try {
    major = readFileSync(join(folder, "PG_VERSION"), "utf8").trim();
  } catch {
    return;
  }
  if (major === PGLITE_MAJOR_VERSION) return;
  const age = Number(major) > Number(PGLITE_MAJOR_VERSION) ? "a newer" : "an older";
  throw refusedByEnvironment(
    `the data directory ${dataDir} was made by ${age} version of Conduit Link: start that version, or give another --data-dir`,
  );
}
