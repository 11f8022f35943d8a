import type { Clock } from "../clock.ts";
import { refusedByEnvironment } from "../model/exit.ts";
import type { Random } from "../random.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import { dataKeyIdOf, type Keyring } from "../sealing/keyring.ts";
import { SealingError } from "../sealing/sealing-error.ts";
import { generateSealingKey, keyBytes, type SealingKey, sealingKey } from "../sealing/sealing-key.ts";
import { countDataKeys, getDataKey, insertDataKey } from "../store/data-keys.ts";
import type { Tx } from "../store/database.ts";
import { ensureInstallation, type InstallationRow, setFleetKey } from "../store/installation.ts";
import type { Store } from "../store/store.ts";

/** What all proxies of an installation share. */
export interface Fleet {
  readonly installationId: string;
  /** Opens the secrets in the config stream. */
  readonly fleetKey: SealingKey;
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
 * The installation and its fleet key, both made on the first start.
 * @throws ExitError (3) when the key is sealed under a master key that was not given
 */
export async function openFleet(store: Store, effects: FleetEffects): Promise<Fleet> {
  const { clock, random, version } = effects;
  const fresh = { id: random.uuid(), createdVersion: version, createTime: new Date(clock.now()) };
  try {
    return await store.transaction(async (tx) => {
      const row = await ensureInstallation(tx, fresh);
      await requireMasterKeys(tx, effects.keyring);
      const { sealedFleetKey } = row;
      const fleetKey =
        sealedFleetKey === null ? await makeKey(tx, row, effects) : await openKey(tx, row, sealedFleetKey, effects);
      return { installationId: row.id, fleetKey };
    });
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
  column: "sealed_fleet_key",
  project: "",
  row: id,
  version: 1,
});

async function makeKey(tx: Tx, row: InstallationRow, { keyring, clock, random }: FleetEffects): Promise<SealingKey> {
  const fleetKey = generateSealingKey(random);
  const dataKey = keyring.createDataKey("");
  await insertDataKey(tx, dataKey, new Date(clock.now()));
  await setFleetKey(tx, keyring.seal(dataKey, keyBytes(fleetKey), placeOf(row)));
  return fleetKey;
}

async function openKey(
  tx: Tx,
  row: InstallationRow,
  sealed: Uint8Array,
  { keyring }: FleetEffects,
): Promise<SealingKey> {
  const dataKey = await getDataKey(tx, dataKeyIdOf(sealed));
  if (dataKey === undefined) throw new SealingError("key_unknown", dataKeyIdOf(sealed));
  const bytes = keyring.open(dataKey, sealed, placeOf(row));
  const key = sealingKey(bytes);
  bytes.fill(0);
  return key;
}
