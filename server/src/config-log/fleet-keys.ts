import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import { dataKeyIdOf, type Keyring } from "../sealing/keyring.ts";
import { SealingError } from "../sealing/sealing-error.ts";
import { generateSealingKey, keyBytes, type SealingKey, sealingKey } from "../sealing/sealing-key.ts";
import { currentDataKey, type DataKeyRow, getDataKey, insertDataKey } from "../store/data-keys.ts";
import type { Reader, Tx } from "../store/database.ts";
import {
  getInstallation,
  type InstallationRow,
  lockInstallation,
  setFleetKey,
  shareInstallation,
} from "../store/installation.ts";
import type { Store } from "../store/store.ts";

/** The key under which secrets lie in the config stream, as long as the fleet has it: another comes when a proxy is revoked. */
export interface FleetKeys {
  /** As it was last read: it opens what the epoch that this replica follows holds. */
  readonly fleetKey: SealingKey;
  /** Reads it anew: after an epoch was seen to be new, and before anybody is told of it. */
  refresh(): Promise<void>;
  /** The key to seal with in this transaction: nobody replaces it before its end. */
  keyForWriting(tx: Tx): Promise<SealingKey>;
  /**
   * Replaces the key in this transaction. Who was writing under the old one is waited for; who comes later waits, and then
   * writes under the new one. This replica follows with `refresh`, like all others.
   */
  replaceKey(tx: Tx): Promise<{ readonly old: SealingKey; readonly fresh: SealingKey }>;
}

export interface FleetKeyEffects {
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly random: Random;
}

/** @param row as it is now, with a fleet key */
export async function createFleetKeys(
  store: Store,
  row: InstallationRow,
  effects: FleetKeyEffects,
): Promise<FleetKeys> {
  const { keyring } = effects;
  let current = await store.read((reader) => openFleetKey(reader, keyring, row));
  let currentSealed = row.sealedFleetKey;

  /** Writers come often and the key changes seldom: it is opened once. */
  const keyOf = async (reader: Reader, found: InstallationRow): Promise<SealingKey> =>
    isSame(found.sealedFleetKey, currentSealed) ? current : openFleetKey(reader, keyring, found);

  return {
    get fleetKey() {
      return current;
    },
    async refresh() {
      const read = await store.read(async (reader) => {
        const found = await getInstallation(reader);
        if (found === undefined) throw new TypeError("the installation's row is gone");
        return { sealed: found.sealedFleetKey, key: await keyOf(reader, found) };
      });
      current = read.key;
      currentSealed = read.sealed;
    },
    keyForWriting: async (tx) => keyOf(tx, await shareInstallation(tx)),
    async replaceKey(tx) {
      const found = await lockInstallation(tx);
      return { old: await keyOf(tx, found), fresh: await makeFleetKey(tx, found, effects) };
    },
  };
}

const isSame = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a !== null && b !== null && Buffer.compare(a, b) === 0;

/** Makes the next fleet key of a locked installation. */
export async function makeFleetKey(tx: Tx, row: InstallationRow, effects: FleetKeyEffects): Promise<SealingKey> {
  const { keyring, random, clock } = effects;
  const fleetKey = generateSealingKey(random);
  const version = row.sealedFleetKey === null ? row.fleetKeyVersion : row.fleetKeyVersion + 1;
  const dataKey = await installationDataKey(tx, keyring, new Date(clock.now()));
  const bytes = keyBytes(fleetKey);
  await setFleetKey(tx, keyring.seal(dataKey, bytes, placeOf(row, version)), version);
  bytes.fill(0);
  return fleetKey;
}

/** The data key that seals the installation's own secrets; made when there is none. */
export async function installationDataKey(tx: Tx, keyring: Keyring, now: Date): Promise<DataKeyRow> {
  const known = await currentDataKey(tx, "");
  if (known !== undefined) return known;
  const made = keyring.createDataKey("");
  await insertDataKey(tx, made, now);
  return made;
}

/** Opens a key of the installation. @throws SealingError when its data key is gone, or it does not open there */
export async function openKey(
  reader: Reader,
  keyring: Keyring,
  sealed: Uint8Array,
  place: SealedPlace,
): Promise<SealingKey> {
  const dataKey = await getDataKey(reader, dataKeyIdOf(sealed));
  if (dataKey === undefined) throw new SealingError("key_unknown", dataKeyIdOf(sealed));
  const bytes = keyring.open(dataKey, sealed, place);
  const key = sealingKey(bytes);
  bytes.fill(0);
  return key;
}

const placeOf = ({ id }: InstallationRow, version: number): SealedPlace => ({
  table: "installation",
  column: "sealed_fleet_key",
  project: "",
  row: id,
  version,
});

function openFleetKey(reader: Reader, keyring: Keyring, row: InstallationRow): Promise<SealingKey> {
  if (row.sealedFleetKey === null) throw new TypeError("the installation has no fleet key");
  return openKey(reader, keyring, row.sealedFleetKey, placeOf(row, row.fleetKeyVersion));
}
