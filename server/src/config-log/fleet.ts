import type { Clock } from "../clock.ts";
import { refusedByEnvironment } from "../model/exit.ts";
import type { Random } from "../random.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import type { Keyring } from "../sealing/keyring.ts";
import { SealingError } from "../sealing/sealing-error.ts";
import { generateSealingKey, keyBytes, type SealingKey } from "../sealing/sealing-key.ts";
import { countDataKeys } from "../store/data-keys.ts";
import type { Tx } from "../store/database.ts";
import {
  ensureInstallation,
  type InstallationRow,
  lockInstallation,
  setInstallationKey,
} from "../store/installation.ts";
import type { Store } from "../store/store.ts";
import { createFleetKeys, type FleetKeys, installationDataKey, makeFleetKey, openKey } from "./fleet-keys.ts";

/** The installation, and the key that its proxies share. */
export interface Fleet extends FleetKeys {
  readonly installationId: string;
  /** The control plane's own, the same at every replica and for ever. No proxy gets it: what is derived from it is secret from them. */
  readonly installationKey: SealingKey;
}

/** What opening the fleet needs. */
export interface FleetEffects {
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly random: Random;
  /** Of this software, kept with a new installation. */
  readonly version: string;
}

/**
 * The installation and its keys, all made on the first start.
 * @throws ExitError (3) when one is sealed under a master key that was not given
 */
export async function openFleet(store: Store, effects: FleetEffects): Promise<Fleet> {
  const { clock, random, version, keyring } = effects;
  const fresh = { id: random.uuid(), createdVersion: version, createTime: new Date(clock.now()) };
  try {
    const { row, installationKey } = await store.transaction(async (tx) => {
      const found = await ensureInstallation(tx, fresh);
      await requireMasterKeys(tx, keyring);
      const installationKey = await ensureInstallationKey(tx, found, effects);
      if (found.sealedFleetKey === null) await makeFleetKey(tx, found, effects);
      return { row: await lockInstallation(tx), installationKey };
    });
    const fleetKeys = await createFleetKeys(store, row, effects);
    return Object.assign(fleetKeys, { installationId: row.id, installationKey });
  } catch (cause) {
    if (!(cause instanceof SealingError)) throw cause;
    const what = "CONDUIT_MASTER_KEY: the database is sealed under another master key: add that one, after a comma";
    throw refusedByEnvironment(what, cause);
  }
}

/**
 * Refuses to start without a master key that still wraps something: everything would seem well until the first call that
 * needs it. @throws ExitError (3)
 */
async function requireMasterKeys(tx: Tx, { masterKeyIds }: Keyring): Promise<void> {
  const missing = (await countDataKeys(tx)).filter(({ masterKeyId }) => !masterKeyIds.includes(masterKeyId));
  if (missing.length === 0) return;
  const which = missing.map(({ masterKeyId, dataKeys }) => `${masterKeyId} (${dataKeys} data keys)`).join(", ");
  const what = `CONDUIT_MASTER_KEY: a master key that is still used is missing: ${which}`;
  throw refusedByEnvironment(
    `${what}. Add it after a comma, then run \`conduit keys rewrap --local\` before you drop it`,
  );
}

const placeOf = ({ id }: InstallationRow): SealedPlace => ({
  table: "installation",
  column: "sealed_installation_key",
  project: "",
  row: id,
  version: 1,
});

async function ensureInstallationKey(tx: Tx, row: InstallationRow, effects: FleetEffects): Promise<SealingKey> {
  const { keyring, random, clock } = effects;
  if (row.sealedInstallationKey !== null) return openKey(tx, keyring, row.sealedInstallationKey, placeOf(row));
  const key = generateSealingKey(random);
  const dataKey = await installationDataKey(tx, keyring, new Date(clock.now()));
  await setInstallationKey(tx, keyring.seal(dataKey, keyBytes(key), placeOf(row)));
  return key;
}
