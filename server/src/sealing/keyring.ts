import type { Random } from "../random.ts";
import { type Binding, bindingOf, open, type SealedPlace, seal, sealingKeyIdOf } from "./envelope.ts";
import type { MasterKeys } from "./master-keys.ts";
import { SealingError } from "./sealing-error.ts";
import { generateSealingKey, keyBytes, type SealingKey, sealingKey } from "./sealing-key.ts";

/** A data key as it is stored: sealed under a master key. */
export interface WrappedDataKey {
  /** Names the key in what it seals. */
  readonly id: string;
  /** Project id; "" = the installation. */
  readonly project: string;
  /** Master key it is wrapped by. */
  readonly masterKeyId: string;
  readonly wrappedKey: Uint8Array;
}

/** Seals and opens stored values. Each project has a data key of its own, so one project's key opens no other's. */
export interface Keyring {
  /** Ids of the master keys, the one that wraps first. */
  readonly masterKeyIds: readonly string[];
  /** A new data key, to be stored. `project` "" = the installation. */
  createDataKey(project: string): WrappedDataKey;
  /**
   * The data key wrapped by the first master key; undefined when it is already.
   * @throws SealingError when its master key was not given
   */
  rewrap(dataKey: WrappedDataKey): WrappedDataKey | undefined;
  /** @throws TypeError when the place is in another project than the key; SealingError when the key does not unwrap */
  seal(dataKey: WrappedDataKey, plaintext: Uint8Array, place: SealedPlace): Uint8Array;
  /** @throws SealingError when the key does not unwrap or the value does not open in this place */
  open(dataKey: WrappedDataKey, sealed: Uint8Array, place: SealedPlace): Uint8Array;
}

/** Unwrapped keys kept in memory; beyond it the oldest is unwrapped again when needed. */
const UNWRAPPED_MAX = 10_000;

/** Id of the data key that opens a stored value. @throws SealingError when it is no sealed value */
export const dataKeyIdOf = (sealed: Uint8Array): string => sealingKeyIdOf(sealed);

/** A keyring over master keys that are in memory. */
export function createKeyring(masterKeys: MasterKeys, random: Random): Keyring {
  const [wrapping] = masterKeys;
  const unwrapped = new Map<string, SealingKey>();

  function unwrap(dataKey: WrappedDataKey): SealingKey {
    // By project too: a row that names a key of another project must not find it here.
    const cacheKey = `${dataKey.project}/${dataKey.id}`;
    const known = unwrapped.get(cacheKey);
    if (known !== undefined) return known;
    const key = unwrapWith(masterKeys, dataKey);
    if (unwrapped.size >= UNWRAPPED_MAX) unwrapped.delete(unwrapped.keys().next().value ?? "");
    unwrapped.set(cacheKey, key);
    return key;
  }

  const wrap = (project: string, key: SealingKey): WrappedDataKey => {
    const bytes = keyBytes(key);
    const wrappedKey = seal(wrapping, bytes, dataKeyBinding(project, key.id), random);
    bytes.fill(0);
    return { id: key.id, project, masterKeyId: wrapping.id, wrappedKey };
  };

  return {
    masterKeyIds: masterKeys.map(({ id }) => id),
    createDataKey: (project) => wrap(project, generateSealingKey(random)),
    rewrap: (dataKey) => (dataKey.masterKeyId === wrapping.id ? undefined : wrap(dataKey.project, unwrap(dataKey))),
    seal(dataKey, plaintext, place) {
      if (dataKey.project !== place.project) throw new TypeError("a value is sealed under its own project's key only");
      return seal(unwrap(dataKey), plaintext, bindingOf(place), random);
    },
    open: (dataKey, sealed, place) => open(unwrap(dataKey), sealed, bindingOf(place)),
  };
}

const dataKeyBinding = (project: string, id: string): Binding => ["data-key", project, id];

function unwrapWith(masterKeys: MasterKeys, { id, project, masterKeyId, wrappedKey }: WrappedDataKey): SealingKey {
  const master = masterKeys.find((key) => key.id === masterKeyId);
  if (master === undefined) throw new SealingError("key_unknown", masterKeyId);
  const bytes = open(master, wrappedKey, dataKeyBinding(project, id));
  const key = sealingKey(bytes);
  bytes.fill(0);
  return key;
}
