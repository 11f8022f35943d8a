import { commitChanges } from "../../config-log/commit.ts";
import { linkTokenName } from "../../model/resource-name.ts";
import { tryTask } from "../../store/advisory-lock.ts";
import { lockExpiredLinkTokens } from "../../store/link-tokens.ts";
import type { Deps } from "../deps.ts";

/** Taken away in one transaction: it holds the log's lock for some tens of milliseconds. */
const BATCH = 1_000;

/**
 * Takes link tokens that have expired from the proxies, where they have ceased to count by the clock, by logged deletes. Their
 * rows stay: who looks sees that they have expired, and a later expiry brings them back. One replica at a time.
 */
export async function sweepLinkTokens({ store, clock }: Pick<Deps, "store" | "clock">): Promise<void> {
  const now = new Date(clock.now());
  for (let taken = BATCH; taken === BATCH; ) {
    const { result } = await commitChanges(store, "swept", async (tx) => {
      if (!(await tryTask(tx, "sweep"))) return { result: 0, changes: [] };
      const expired = await lockExpiredLinkTokens(tx, now, BATCH);
      const changes = expired.map(({ project, link, id }) => {
        const name = linkTokenName(project, link, id);
        return { op: "delete" as const, kind: "link_token" as const, name };
      });
      return { result: expired.length, changes };
    });
    taken = result;
  }
}
