import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Rounds of collection: the first frees, later ones give pages back. */
const ROUNDS = 4;
/** As V8 itself collects before it gives up for lack of memory: pages that hold nothing go back to the system. */
const THOROUGH = { type: "major", execution: "sync", flavor: "last-resort" };
const PAUSE_MS = 250;

/** Resident bytes of this process, shared memory included, after forced collection. */
export async function collectedResidentBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (how: typeof THOROUGH) => void;
  for (let round = 0; round < ROUNDS; round += 1) {
    collect(THOROUGH);
    await delay(PAUSE_MS);
  }
  return process.memoryUsage.rss();
}
