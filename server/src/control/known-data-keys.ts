import { type DataKeyRow, getDataKey } from "../store/data-keys.ts";
import type { Reader } from "../store/database.ts";

/** Keys kept; beyond it the oldest is read again when needed. */
const KEPT_MAX = 1_000;

/** `Store.read`, or in a transaction `(fn) => fn(tx)`. */
export type Reading = <T>(fn: (reader: Reader) => Promise<T>) => Promise<T>;

/** Finds wrapped data keys by id. */
export interface KnownDataKeys {
  /** Undefined when there is none. @param read gives the database, if it must be asked */
  get(read: Reading, id: string): Promise<DataKeyRow | undefined>;
}

/**
 * Reads each data key once. What is kept is wrapped, as in the database, and always right: an id has one key for good, and
 * a key wrapped anew still opens with the master key that this process began with.
 */
export function createKnownDataKeys(): KnownDataKeys {
  const known = new Map<string, DataKeyRow>();
  return {
    async get(read, id) {
      const kept = known.get(id);
      if (kept !== undefined) return kept;
      const row = await read((reader) => getDataKey(reader, id));
      if (row === undefined) return undefined;
      if (known.size >= KEPT_MAX) known.delete(known.keys().next().value ?? "");
      known.set(id, row);
      return row;
    },
  };
}
