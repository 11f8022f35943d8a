import type { CreatedApiKey } from "../cli/api-key-create.ts";
import { printApiKey } from "../cli/api-key-create.ts";
import type { Output } from "../cli/output.ts";
import { systemClock } from "../clock.ts";
import { createOperatorKey } from "../control/operator-key.ts";
import { wrongSetting } from "../model/exit.ts";
import { systemRandom } from "../random.ts";
import type { Environment } from "../settings.ts";
import { withLocalStore } from "./local-store.ts";

export interface LocalApiKeyOptions {
  readonly role: string;
  readonly dataDir: string;
  readonly displayName?: string;
  readonly json: boolean;
}

/**
 * `conduit api-key create --role operator --local`: the first key of an installation, written to the database itself.
 * With PGlite the server must be stopped. @throws ExitError (3) when the data directory is in use
 */
export async function createLocalApiKey(
  options: LocalApiKeyOptions,
  environment: Environment,
  output: Output,
): Promise<void> {
  if (options.role !== "operator")
    throw wrongSetting("--local: makes operator keys only; make the others through the API");
  const effects = { clock: systemClock, random: systemRandom };
  await withLocalStore(options.dataDir, environment, async (store) => {
    const { name, key } = await createOperatorKey(store, effects, options.displayName ?? "first operator");
    const created: CreatedApiKey = { name, key: key.reveal() };
    printApiKey(created, options.json, output);
  });
}
