// Writes revocations into the config log, three writers in one process: `config-log-writer.ts <database url> <first writer> <rounds
// done by each, as 1,2,3>`. Prints `<writer> <round>` after each commit: what is printed must never be missing.
import { systemClock } from "../../server/src/clock.ts";
import { commitChanges } from "../../server/src/config-log/commit.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { openStore } from "../../server/src/store/open.ts";
import { ROUNDS, roundChanges } from "./config-log-rounds.ts";

const [, , url = "", first = "0", done = ""] = process.argv;
const store = await openStore(
  { kind: "postgres", url: new SecretText(url) },
  { clock: systemClock, random: systemRandom },
);

async function write(writer: number, from: number): Promise<void> {
  for (let round = from; round <= ROUNDS; round += 1) {
    try {
      await commitChanges(store, "swept", async () => ({ result: undefined, changes: roundChanges(writer, round) }));
      process.stdout.write(`${writer} ${round}\n`);
    } catch (error) {
      // Its connection was cut, or the database was put back: unknown whether it was done. The same once more.
      if (!(error instanceof ConduitError) || error.code !== "store_unavailable") throw error;
      round -= 1;
    }
  }
}

await Promise.all(done.split(",").map((rounds, index) => write(Number(first) + index, Number(rounds) + 1)));
await store.close();
