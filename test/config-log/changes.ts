// Small configuration changes, and a reader that does what a proxy does with a stream.
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Hello,
  type ResourceChange,
  type WatchConfigResponse,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { systemClock } from "../../server/src/clock.ts";
import { commitChanges } from "../../server/src/config-log/commit.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { type ConfigHub, type ConfigHubOptions, createConfigHub } from "../../server/src/config-log/hub.ts";
import type { ConfigCursor } from "../../server/src/config-log/resume.ts";
import { EMPTY_DIGEST, type EncodedResource, stateDigest } from "../../server/src/model/config-digest.ts";
import type { ConfigChange } from "../../server/src/model/config-resource.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { createKeyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { getConfigHead } from "../../server/src/store/config-head.ts";
import type { Store } from "../../server/src/store/store.ts";
import { kindFromProto } from "../../server/src/wire/config.ts";

export const silent = pino({ level: "silent" });

const MASTER_KEY = new SecretText(Buffer.alloc(32, "a master key of the tests only").toString("base64"));
export const testKeyring = () => createKeyring(parseMasterKeys(MASTER_KEY), systemRandom);

export const upsert = (name: string, value: Uint8Array | string): ConfigChange => ({
  op: "upsert",
  resource: { kind: "secret", name, sealedValue: typeof value === "string" ? Buffer.from(value) : value },
});
export const remove = (name: string): ConfigChange => ({ op: "delete", kind: "secret", name });

/** Commits changes that have no rows of their own. */
export const commit = async (store: Store, ...changes: ConfigChange[]): Promise<bigint> =>
  (await commitChanges(store, "swept", async () => ({ result: undefined, changes }))).sequence;

/** A hub over a store, not started. */
export async function makeHub(store: Store, more: Partial<ConfigHubOptions> = {}): Promise<ConfigHub> {
  const effects = { keyring: testKeyring(), clock: systemClock, random: systemRandom, version: "0.1.0" };
  const fleet = await openFleet(store, effects);
  const options = { store, fleet, clock: systemClock, random: systemRandom, log: silent };
  return createConfigHub({ ...options, ...more });
}

/** What the database says the state is: read apart from the code under test's own sums. */
export async function databaseState(store: Store) {
  const [head, resources] = await store.readSnapshot(async (tx) => [
    (await getConfigHead(tx))!,
    await readConfigCurrent(tx, undefined, 1_000_000),
  ]);
  return { head, digest: stateDigest(resources), resources };
}

/** Holds a copy of the configuration, applying what a stream says and refusing what cannot be. */
export class Replica {
  readonly held = new Map<string, EncodedResource>();
  readonly events: WatchConfigResponse["event"]["case"][] = [];
  hello: Hello | undefined;
  epoch = "";
  sequence = 0n;
  digest: Uint8Array = EMPTY_DIGEST;
  #snapshot: ResourceChange[] = [];

  cursor(): ConfigCursor {
    return { epoch: this.epoch, sequence: this.sequence, digest: this.digest };
  }

  /** Reads a stream until `isEnough`, or its end. */
  async follow(stream: AsyncIterable<Uint8Array>, isEnough: (replica: Replica) => boolean): Promise<void> {
    for await (const bytes of stream) {
      this.apply(fromBinary(WatchConfigResponseSchema, bytes));
      if (isEnough(this)) return;
    }
  }

  apply({ event }: WatchConfigResponse): void {
    this.events.push(event.case);
    if (event.case === "hello") this.hello = event.value;
    if (event.case === "snapshot") {
      if (event.value.index === 0) this.#snapshot = [];
      this.#snapshot.push(...event.value.resources);
      if (!event.value.last) return;
      if (BigInt(this.#snapshot.length) !== event.value.totalResources) throw new Error("a chunk is missing");
      this.held.clear();
      for (const change of this.#snapshot) this.#change(change);
      this.#arrive(event.value.sequence, event.value.stateDigest);
    }
    if (event.case === "delta") {
      if (event.value.fromSequence !== this.sequence) throw new Error("a delta is missing");
      for (const change of event.value.changes) this.#change(change);
      this.#arrive(event.value.toSequence, event.value.stateDigest);
    }
    if (event.case === "heartbeat" && event.value.headSequence === this.sequence) this.#check(event.value.stateDigest);
  }

  #change({ kind: protoKind, name, version, change }: ResourceChange): void {
    const kind = kindFromProto(protoKind)!;
    const key = `${kind} ${name}`;
    const before = this.held.get(key);
    if (before !== undefined && version <= before.version) throw new Error("a version does not grow");
    if (change.case === "delete") this.held.delete(key);
    else if (change.case === "upsert") this.held.set(key, { kind, name, version, payload: change.value });
  }

  #arrive(sequence: bigint, said: Uint8Array): void {
    this.sequence = sequence;
    this.epoch = this.hello?.epoch ?? "";
    this.#check(said);
    this.digest = said;
  }

  #check(said: Uint8Array): void {
    const own = stateDigest(this.held.values());
    if (Buffer.compare(own, said) !== 0) throw new Error(`the digest at ${this.sequence} is another`);
  }
}
