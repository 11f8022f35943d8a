import type { User } from "../judge/user.ts";
import { REVOCATION_KEY_BYTES, revocationEntryOf, revocationStreamName } from "../model/revocation.ts";
import { RevocationIndex } from "../policy/revocation.ts";
import type { Reader } from "../store/database.ts";
import { findRevocations } from "../store/revocations.ts";
import type { Deps } from "./deps.ts";
import { revocationOf } from "./revocation-write.ts";

/** The part of the proxies' index that concerns these keys (`keysOfToken`), as the database has it now. */
export async function storedRevocations(reader: Reader, keys: Uint8Array, nowMs: number): Promise<RevocationIndex> {
  const targetKeys: Uint8Array[] = [];
  for (let at = 0; at < keys.length; at += REVOCATION_KEY_BYTES)
    targetKeys.push(keys.subarray(at, at + REVOCATION_KEY_BYTES));
  const index = new RevocationIndex();
  for (const row of await findRevocations(reader, targetKeys, new Date(nowMs))) {
    const revocation = revocationOf(row);
    const name = revocationStreamName(revocation.name);
    index.set({ name, version: 1n, entry: revocationEntryOf(revocation) });
  }
  return index;
}

/** What may withdraw a user's token, for verdicts given outside the proxies. */
export const revocationsOfUser =
  ({ store, clock }: Deps) =>
  ({ revocationKeys, source }: User): Promise<RevocationIndex> => {
    const keys = source === undefined ? revocationKeys() : new Uint8Array([...revocationKeys(), ...source.keys()]);
    return store.read((reader) => storedRevocations(reader, keys, clock.now()));
  };
