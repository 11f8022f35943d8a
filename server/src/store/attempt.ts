import { setTimeout as sleep } from "node:timers/promises";
import { DrizzleQueryError } from "drizzle-orm/errors";
import type { Random } from "../random.ts";
import type { Database, Reader, Tx } from "./database.ts";
import { fromDriverError, isConnectionFailure, isLostRace } from "./driver-error.ts";

export type TransactionConfig = Parameters<Database["transaction"]>[1];

/** Runs of one transaction at most; each waits a little longer, at random, so that rivals part. */
const ATTEMPTS_MAX = 8;
const BACKOFF_MS = 8;
const COMMIT_UNKNOWN =
  "The connection to the database was lost while committing: whether the change was made is unknown, read it again";

/** How one run of a transaction ended. Only a failure of the driver may be tried again. */
type Outcome<T> =
  | { readonly ended: "committed"; readonly value: T }
  | { readonly ended: "refused"; readonly error: unknown }
  | { readonly ended: "failed"; readonly error: unknown; readonly wasCommitting: boolean };

/** Runs a transaction until it ends for good. @throws what `fn` threw, or `ConduitError` for the driver's failures */
export async function runTransaction<T>(
  database: Database,
  fn: (tx: Tx) => Promise<T>,
  random: Random,
  config?: TransactionConfig,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await runOnce(database, fn, config);
    if (outcome.ended === "committed") return outcome.value;
    if (outcome.ended === "refused") throw outcome.error;
    const { error, wasCommitting } = outcome;
    if (attempt < ATTEMPTS_MAX && isLostRace(error)) {
      await sleep(jitterMs(random, BACKOFF_MS * 2 ** attempt));
      continue;
    }
    throw fromDriverError(error, wasCommitting && isConnectionFailure(error) ? COMMIT_UNKNOWN : undefined);
  }
}

async function runOnce<T>(
  database: Database,
  fn: (tx: Tx) => Promise<T>,
  config?: TransactionConfig,
): Promise<Outcome<T>> {
  let refused: { readonly error: unknown } | undefined;
  let wasCommitting = false;
  try {
    const value = await database.transaction(async (tx) => {
      try {
        const result = await fn(tx);
        wasCommitting = true;
        return result;
      } catch (error) {
        // Every failed statement arrives as a DrizzleQueryError; anything else is fn's own word.
        if (!(error instanceof DrizzleQueryError)) refused = { error };
        throw error;
      }
    }, config);
    return { ended: "committed", value };
  } catch (error) {
    return refused ? { ended: "refused", error: refused.error } : { ended: "failed", error, wasCommitting };
  }
}

/** Runs reads outside a transaction. @throws what `fn` threw, or `ConduitError` for the driver's failures */
export async function runReads<T>(database: Database, fn: (reader: Reader) => Promise<T>): Promise<T> {
  try {
    return await fn(database);
  } catch (error) {
    throw error instanceof DrizzleQueryError ? fromDriverError(error) : error;
  }
}

const jitterMs = (random: Random, maxMs: number): number =>
  (new DataView(random.bytes(4).slice().buffer).getUint32(0) / 2 ** 32) * maxMs;
