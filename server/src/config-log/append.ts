import {
  EMPTY_DIGEST,
  type EncodedResource,
  isSameDigest,
  payloadHash,
  resourceDigest,
  xorDigest,
} from "../model/config-digest.ts";
import type { ConfigChange } from "../model/config-resource.ts";
import { lockConfigCurrent, lockNewResources, type ResourceKey } from "../store/config-current.ts";
import { getConfigHead, knownHead } from "../store/config-head.ts";
import { appendConfigEntries, type NewConfigEntry } from "../store/config-log.ts";
import type { Tx } from "../store/database.ts";
import { encodeConfigResource } from "../wire/config.ts";

/**
 * Appends what a transaction changed to the config log, as its last statement, and returns the log's sequence: its own, or
 * the current one when nothing really changed. Domain rows are written before (lock order: domain rows, config_current,
 * head). Of several changes of one resource the last counts.
 */
export async function appendChanges(tx: Tx, changes: readonly ConfigChange[]): Promise<bigint> {
  const wanted = lastOfEach(changes);
  const locked = await lockResources(tx, wanted);
  // Read after the rows were locked: whoever deleted one of them before is in this sequence.
  const { sequence } = knownHead(await getConfigHead(tx));
  const held: Held = new Map(locked.map((resource) => [textOf(resource), resource]));
  const entries = wanted.flatMap((change) => toEntry(change, held.get(textOf(keyOf(change))), sequence));
  if (entries.length === 0) return sequence;
  return appendConfigEntries(tx, entries, digestChange(entries, held));
}

/** Those that exist. Those about to be made are locked too, and looked for again: another transaction may have made them. */
async function lockResources(tx: Tx, wanted: readonly ConfigChange[]): Promise<readonly EncodedResource[]> {
  const locked = await lockConfigCurrent(tx, wanted.map(keyOf));
  const found = new Set(locked.map(textOf));
  const absent = wanted
    .filter(({ op }) => op === "upsert")
    .map(keyOf)
    .filter((key) => !found.has(textOf(key)));
  if (absent.length === 0) return locked;
  await lockNewResources(tx, absent);
  return [...locked, ...(await lockConfigCurrent(tx, absent))];
}

/** What config_current holds of the resources to change, by `textOf`. */
type Held = ReadonlyMap<string, EncodedResource>;

const keyOf = (change: ConfigChange): ResourceKey =>
  change.op === "delete"
    ? { kind: change.kind, name: change.name }
    : { kind: change.resource.kind, name: change.resource.name };

const textOf = ({ kind, name }: ResourceKey): string => `${kind} ${name}`;

const lastOfEach = (changes: readonly ConfigChange[]): ConfigChange[] => [
  ...new Map(changes.map((change) => [textOf(keyOf(change)), change])).values(),
];

/** Nothing when the change changes nothing: a write without effect must not wake every proxy. */
function toEntry(change: ConfigChange, held: EncodedResource | undefined, head: bigint): NewConfigEntry[] {
  const key = keyOf(change);
  const version = nextVersion(held, head);
  if (change.op === "delete") return held === undefined ? [] : [{ ...key, version, payload: undefined, isNew: false }];
  const payload = encodeConfigResource(change.resource);
  if (held !== undefined && isSameDigest(payloadHash(held.payload), payloadHash(payload))) return [];
  return [{ ...key, version, payload, isNew: held === undefined }];
}

/** Above every earlier change's sequence, so that a resource made anew goes on above its deleted namesake. */
function nextVersion(held: EncodedResource | undefined, head: bigint): bigint {
  const above = (held?.version ?? 0n) + 1n;
  return above > head ? above : head + 1n;
}

function digestChange(entries: readonly NewConfigEntry[], held: Held): Uint8Array {
  return entries.reduce((sum, { payload, ...key }) => {
    const before = held.get(textOf(key));
    const without = before === undefined ? sum : xorDigest(sum, resourceDigest(before));
    return payload === undefined ? without : xorDigest(without, resourceDigest({ ...key, payload }));
  }, EMPTY_DIGEST);
}
