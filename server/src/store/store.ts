import { AsyncLocalStorage } from "node:async_hooks";
import { sql } from "drizzle-orm";
import { ConduitError } from "../model/errors.ts";
import type { Random } from "../random.ts";
import { runReads, runTransaction } from "./attempt.ts";
import { type Reader, rowsOf, type Tx } from "./database.ts";
import type { Driver, TransactionMode } from "./driver.ts";
import { READ_ONLY_DETAIL } from "./driver-error.ts";

/** The database, whichever it is. Its functions reject with `ConduitError`, or with what the given function threw. */
export interface Store {
  readonly kind: "pglite" | "postgres";
  /**
   * Runs `fn` in a transaction: commits when it returns, rolls back when it throws. May run it again after a lost race,
   * so `fn` has no other effects; and it awaits nothing but the database, which PGlite keeps from everyone else meanwhile.
   * To refuse *and* keep what was written, return a value and throw after the commit.
   * @throws TypeError when called inside another one of this store (on PGlite that would wait for ever)
   */
  transaction<T>(fn: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Runs exactly one statement, which is its own transaction: cheaper than `transaction`, and run again likewise. A second
   * one fails: it would be another transaction.
   */
  statement<T>(fn: (tx: Tx) => Promise<T>): Promise<T>;
  /** Reads outside any transaction: each statement sees what is committed then. */
  read<T>(fn: (reader: Reader) => Promise<T>): Promise<T>;
  /** Reads one state of everything, however long it takes (REPEATABLE READ, read only). */
  readSnapshot<T>(fn: (reader: Reader) => Promise<T>): Promise<T>;
  /**
   * Calls `wake` when the configuration changed, and whenever notifications may have been missed. A hint only: it may be
   * lost or come twice, so the caller also looks now and then. Returns the way to stop it.
   */
  onWake(wake: () => void): () => void;
  /** Whether the database answers and takes changes. @throws ConduitError `store_unavailable` saying which */
  ping(): Promise<void>;
  /** Ends all connections; calls after it fail with `store_unavailable`. */
  close(): Promise<void>;
}

/** A store over an opened driver. */
export async function createStore(driver: Driver, random: Random): Promise<Store> {
  const inTransaction = new AsyncLocalStorage<true>();
  const wakers = new Set<() => void>();
  await driver.listen(() => {
    for (const wake of wakers) wake();
  });

  function refuseInside(): void {
    if (inTransaction.getStore() === undefined) return;
    throw new TypeError("a transaction is open here: use its tx; waiting for the store inside it would never end");
  }
  async function transact<T>(fn: (tx: Tx) => Promise<T>, mode: TransactionMode): Promise<T> {
    refuseInside();
    return runTransaction(driver, (tx) => inTransaction.run(true, () => fn(tx)), mode, random);
  }
  async function read<T>(fn: (reader: Reader) => Promise<T>): Promise<T> {
    refuseInside();
    return runReads(driver, fn);
  }

  return {
    kind: driver.kind,
    transaction: (fn) => transact(fn, "write"),
    statement: (fn) => transact(fn, "statement"),
    readSnapshot: (fn) => transact(fn, "snapshot"),
    read,
    onWake(wake) {
      wakers.add(wake);
      return () => wakers.delete(wake);
    },
    ping: () => read(requireWritable),
    close: () => driver.close(),
  };
}

/** A standby, or a server that its operator or a full disk has made read-only, answers and can do nothing for us. */
async function requireWritable(reader: Reader): Promise<void> {
  const query = sql`select current_setting('transaction_read_only') = 'on' as closed`;
  const [row] = await rowsOf<{ closed: boolean }>(reader, query);
  if (row?.closed === true) throw new ConduitError("store_unavailable", { detail: READ_ONLY_DETAIL });
}
