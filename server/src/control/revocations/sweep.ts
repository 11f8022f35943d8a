import { commitChanges } from "../../config-log/commit.ts";
import { tryTask } from "../../store/advisory-lock.ts";
import { takeExpiredRevocations } from "../../store/revocations.ts";
import type { Deps } from "../deps.ts";
import { revocationDelete } from "../revocation-write.ts";

/** Taken away in one transaction: it holds the log's lock for some tens of milliseconds. */
const BATCH = 1_000;

/**
 * Takes revocations that have expired from the database and, by logged deletes, from the proxies, where they have ceased
 * to count by the clock. One replica at a time; the others leave it to that one.
 */
export async function sweepRevocations({ store, clock }: Deps): Promise<void> {
  const now = new Date(clock.now());
  for (let taken = BATCH; taken === BATCH; ) {
    const { result } = await commitChanges(store, "swept", async (tx) => {
      if (!(await tryTask(tx, "sweep"))) return { result: 0, changes: [] };
      const expired = await takeExpiredRevocations(tx, now, BATCH);
      return { result: expired.length, changes: expired.map(revocationDelete) };
    });
    taken = result;
  }
}
