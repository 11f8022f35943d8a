import { sql } from "drizzle-orm";
import { rowsOf, type Tx } from "./database.ts";

/** First half of our lock numbers: any that no other program uses in this database. */
const NAMESPACE = 0x436f6e64;

/** What one replica at a time does, by number of its lock. */
const TASKS = { "signing-keys": 1, "audit-sealer": 2, rewrap: 3, sweep: 4, tidy: 5 } as const;

export type Task = keyof typeof TASKS;

/** Whether this transaction may do the task: false while another one, of any replica, is at it. Released at its end. */
export async function tryTask(tx: Tx, task: Task): Promise<boolean> {
  const query = sql`select pg_try_advisory_xact_lock(${NAMESPACE}::int, ${TASKS[task]}::int) as locked`;
  const [row] = await rowsOf<{ locked: boolean }>(tx, query);
  return row?.locked === true;
}
