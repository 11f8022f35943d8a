import { type Output, printResult, printTable } from "../cli/output.ts";
import { systemClock } from "../clock.ts";
import { masterKeyUses, rewrapDataKeys, rotateDataKey, type Upkeep } from "../control/key-upkeep.ts";
import { refusedByEnvironment } from "../model/exit.ts";
import { systemRandom } from "../random.ts";
import { createKeyring } from "../sealing/keyring.ts";
import { parseMasterKeys } from "../sealing/master-keys.ts";
import { type Environment, masterKeys } from "../settings.ts";
import { withLocalStore } from "./local-store.ts";

export interface LocalKeysOptions {
  readonly dataDir: string;
  readonly json: boolean;
}

/** `conduit keys status --local`: which master keys are used and which are given. */
export function localKeyStatus(options: LocalKeysOptions, environment: Environment, output: Output): Promise<void> {
  return withUpkeep(options, environment, async (upkeep) => {
    const rows = (await masterKeyUses(upkeep)).map(({ masterKeyId, standing, dataKeys }) => ({
      master_key: masterKeyId,
      standing,
      data_keys: dataKeys,
    }));
    printTable(output, ["master_key", "standing", "data_keys"], rows, options.json);
  });
}

/**
 * `conduit keys rewrap --local`: every data key under the first master key. May be stopped and run again.
 * @throws ExitError (3) when a master key that is still used was not given
 */
export function localRewrap(options: LocalKeysOptions, environment: Environment, output: Output): Promise<void> {
  return withUpkeep(options, environment, async (upkeep) => {
    const before = (await masterKeyUses(upkeep)).filter(({ standing }) => standing === "given");
    const total = before.reduce((sum, { dataKeys }) => sum + dataKeys, 0);
    const rewrapped = await rewrapDataKeys(upkeep, (done) => output.err(`rewrapped ${done} of ${total} data keys`));
    const others = (await masterKeyUses(upkeep)).filter(({ standing }) => standing !== "first");
    const remaining = Object.fromEntries(others.map(({ masterKeyId, dataKeys }) => [masterKeyId, dataKeys]));
    printResult(output, { rewrapped, remaining: options.json ? remaining : JSON.stringify(remaining) }, options.json);
    const isLeft = others.some(({ dataKeys }) => dataKeys > 0);
    if (isLeft)
      throw refusedByEnvironment("CONDUIT_MASTER_KEY: some data keys are under master keys that were not given");
  });
}

/** `conduit keys rotate-data-key --local`: a new data key for a project, or for the installation. */
export function localRotateDataKey(
  options: LocalKeysOptions & { readonly project?: string },
  environment: Environment,
  output: Output,
): Promise<void> {
  return withUpkeep(options, environment, async (upkeep) => {
    const told = (done: number) => output.err(`sealed ${done} values anew`);
    const resealed = await rotateDataKey(upkeep, options.project ?? "", told);
    printResult(output, { resealed }, options.json);
  });
}

function withUpkeep(
  { dataDir }: LocalKeysOptions,
  environment: Environment,
  work: (upkeep: Upkeep) => Promise<void>,
): Promise<void> {
  const keyring = createKeyring(parseMasterKeys(masterKeys(environment)), systemRandom);
  return withLocalStore(dataDir, environment, (store) => work({ store, keyring, clock: systemClock }));
}
