import { commitChanges } from "../../config-log/commit.ts";
import { takeExpiredRevocations } from "../../store/revocations.ts";
import type { Deps } from "../deps.ts";
import { revocationDelete } from "../revocation-write.ts";

/** Taken away in one transaction: it holds the log's lock for some tens of milliseconds. */
const BATCH = 1_000;

/**
 * Takes revocations that have expired from the database and, by logged deletes, from the proxies, where they have ceased
 * to count by the clock. Any number of replicas may do it at once.
 */
export async function sweepRevocations({ store, clock }: Deps): Promise<void> {
  const now = new Date(clock.now());
  for (let taken = BATCH; taken === BATCH; ) {
    const { result } = await commitChanges(store, "swept", async (tx) => {
      const expired = await takeExpiredRevocations(tx, now, BATCH);
      return { result: expired.length, changes: expired.map(revocationDelete) };
    });
    taken = result;
  }
}
