import { setTimeout as sleep } from "node:timers/promises";
import { DrizzleQueryError } from "drizzle-orm/errors";
import type { Random } from "../random.ts";
import type { Reader, Tx } from "./database.ts";
import type { Driver, TransactionMode } from "./driver.ts";
import { fromDriverError, isConnectionLost, isLostRace } from "./driver-error.ts";

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
  driver: Driver,
  fn: (tx: Tx) => Promise<T>,
  mode: TransactionMode,
  random: Random,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await runOnce(fn, (watched) => driver.transact(watched, mode), mode === "statement");
    if (outcome.ended === "committed") return outcome.value;
    if (outcome.ended === "refused") throw outcome.error;
    const { error, wasCommitting } = outcome;
    if (attempt < ATTEMPTS_MAX && isLostRace(error)) {
      await sleep(jitterMs(random, BACKOFF_MS * 2 ** attempt));
      continue;
    }
    throw fromDriverError(error, wasCommitting && isConnectionLost(error) ? COMMIT_UNKNOWN : undefined);
  }
}

/**
 * Hands `fn` to the driver, and tells what `fn` itself threw from what the driver could not do.
 * @param commitsItself whether what `fn` does is committed while it runs
 */
async function runOnce<Input, T>(
  fn: (input: Input) => Promise<T>,
  hand: (watched: (input: Input) => Promise<T>) => Promise<T>,
  commitsItself: boolean,
): Promise<Outcome<T>> {
  let refused: { readonly error: unknown } | undefined;
  let wasCommitting = false;
  const watched = async (input: Input): Promise<T> => {
    wasCommitting = commitsItself;
    try {
      const result = await fn(input);
      wasCommitting = true;
      return result;
    } catch (error) {
      // Every failed statement arrives as a DrizzleQueryError; anything else is fn's own word.
      if (!(error instanceof DrizzleQueryError)) refused = { error };
      throw error;
    }
  };
  try {
    return { ended: "committed", value: await hand(watched) };
  } catch (error) {
    return refused ? { ended: "refused", error: refused.error } : { ended: "failed", error, wasCommitting };
  }
}

/** Runs reads outside a transaction. @throws what `fn` threw, or `ConduitError` for the driver's failures */
export async function runReads<T>(driver: Driver, fn: (reader: Reader) => Promise<T>): Promise<T> {
  const outcome = await runOnce(fn, (watched) => driver.read(watched), false);
  if (outcome.ended === "committed") return outcome.value;
  throw outcome.ended === "refused" ? outcome.error : fromDriverError(outcome.error);
}

const jitterMs = (random: Random, maxMs: number): number =>
  (new DataView(random.bytes(4).slice().buffer).getUint32(0) / 2 ** 32) * maxMs;
