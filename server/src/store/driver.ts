import type { Reader, Tx } from "./database.ts";

/** `snapshot`: one state of everything, read only (REPEATABLE READ). `statement`: one statement, without begin and commit. */
export type TransactionMode = "write" | "snapshot" | "statement";

/** What opening a database gives; failures are the driver's own (driver-error.ts). */
export interface Driver {
  readonly kind: "pglite" | "postgres";
  /** Runs `fn` in a transaction, once: commits when it returns, rolls back when it throws. */
  transact<T>(fn: (tx: Tx) => Promise<T>, mode: TransactionMode): Promise<T>;
  /** Runs `fn` outside transactions. */
  read<T>(fn: (reader: Reader) => Promise<T>): Promise<T>;
  /** Calls `wake` on each notification, and whenever some may have been missed. */
  listen(wake: () => void): Promise<void>;
  close(): Promise<void>;
}
