import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Delta,
  DeltaSchema,
  HelloSchema,
  ResourceChangeSchema,
  SnapshotChunkSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { JwksSeed } from "../../jwt/jwks-source.ts";
import { type EncodedResource, isSameDigest } from "../../model/config-digest.ts";
import { sealingKey } from "../../sealing/sealing-key.ts";
import { kindToProto } from "../../wire/config.ts";
import type { FleetFacts } from "./apply.ts";
import type { Steps } from "./slices.ts";
import { heldChangeOf } from "./snapshot-intake.ts";
import type { ConfigCursor, HeldState } from "./state.ts";

/** What a proxy starts from when no control plane is there (R1). */
export interface StoredConfig {
  readonly fleet: FleetFacts;
  readonly state: HeldState;
  /** Fetched key sets, so that users' tokens verify also while their issuer is away. */
  readonly jwksSeeds: readonly JwksSeed[];
  /** Wall clock: when it was known to be current; 0 = never. */
  readonly provenTimeMs: number;
}

/** First byte of a part. */
const HEAD = 1;
const RESOURCES = 2;
const BASE_END = 3;
const DELTA = 4;
const SEEDS = 5;
const PROOF = 6;

const part = (type: number, body: Uint8Array): Uint8Array => Buffer.concat([Buffer.from([type]), body]);

/** First part: where and who. */
export function headPart({ fleetKeyBytes, installationId }: FleetFacts, { epoch }: ConfigCursor): Uint8Array {
  const hello = create(HelloSchema, { epoch, fleetKey: fleetKeyBytes, installationId });
  return part(HEAD, toBinary(HelloSchema, hello));
}

export function resourcesPart(resources: readonly EncodedResource[]): Uint8Array {
  const changes = resources.map(({ kind, name, version, payload }) =>
    create(ResourceChangeSchema, {
      kind: kindToProto(kind),
      name,
      version,
      change: { case: "upsert" as const, value: payload },
    }),
  );
  return part(RESOURCES, toBinary(SnapshotChunkSchema, create(SnapshotChunkSchema, { resources: changes })));
}

/** All resources are there. @param cursor of the moment at which their writing began */
export const baseEndPart = ({ sequence, digest }: ConfigCursor): Uint8Array =>
  part(BASE_END, toBinary(SnapshotChunkSchema, create(SnapshotChunkSchema, { sequence, stateDigest: digest })));

/** @param digest of the state after it */
export const deltaPart = (delta: Delta, digest: Uint8Array): Uint8Array =>
  part(DELTA, toBinary(DeltaSchema, create(DeltaSchema, { ...delta, stateDigest: digest })));

export const seedsPart = (seeds: readonly JwksSeed[]): Uint8Array => part(SEEDS, Buffer.from(JSON.stringify(seeds)));

export const proofPart = (provenTimeMs: number): Uint8Array => part(PROOF, Buffer.from(JSON.stringify(provenTimeMs)));

/**
 * The configuration that parts make. The resources were written while changes went on, so they may be of any moment since
 * the writing began; the changes after them, each applied where it is newer, lead to the one state of the last change.
 * @param state an empty one
 * @throws Error when parts are missing, or the state is not what was written down
 */
export function* storedFrom(parts: Iterable<Uint8Array>, state: HeldState): Steps<StoredConfig> {
  const found: Found = { fleet: undefined, epoch: "", end: undefined, jwksSeeds: [], provenTimeMs: 0 };
  for (const bytes of parts) {
    const read = READERS[bytes[0] ?? 0];
    if (read === undefined) throw new Error("the configuration on disk holds what only a newer version knows");
    read(bytes.subarray(1), found, state);
    yield;
  }
  const { fleet, epoch, end, jwksSeeds, provenTimeMs } = found;
  if (fleet === undefined || end === undefined) throw new Error("the configuration on disk has no end");
  if (!isSameDigest(end.digest, state.digest)) throw new Error("the configuration on disk is not what was written");
  state.moveTo(epoch, end.sequence);
  return { fleet, state, jwksSeeds, provenTimeMs };
}

interface Found {
  fleet: FleetFacts | undefined;
  epoch: string;
  end: { readonly sequence: bigint; readonly digest: Uint8Array } | undefined;
  jwksSeeds: readonly JwksSeed[];
  provenTimeMs: number;
}

type ReadPart = (body: Uint8Array, found: Found, state: HeldState) => void;

const READERS: Readonly<Record<number, ReadPart>> = {
  [HEAD](body, found) {
    const { epoch, fleetKey, installationId } = fromBinary(HelloSchema, body);
    found.fleet = { installationId, fleetKey: sealingKey(fleetKey), fleetKeyBytes: fleetKey };
    found.epoch = epoch;
  },
  [RESOURCES](body, _found, state) {
    for (const change of fromBinary(SnapshotChunkSchema, body).resources) {
      for (const known of heldChangeOf(change)) if (known.op === "upsert") state.put(known.resource);
    }
  },
  [BASE_END](body, found) {
    const { sequence, stateDigest } = fromBinary(SnapshotChunkSchema, body);
    found.end = { sequence, digest: stateDigest };
  },
  [DELTA](body, found, state) {
    const { changes, toSequence, stateDigest } = fromBinary(DeltaSchema, body);
    state.apply(changes.flatMap(heldChangeOf));
    found.end = { sequence: toSequence, digest: stateDigest };
  },
  // Sealed by ourselves: nobody without the key can have written anything else.
  [SEEDS](body, found) {
    found.jwksSeeds = JSON.parse(Buffer.from(body).toString("utf8")) as JwksSeed[];
  },
  [PROOF](body, found) {
    found.provenTimeMs = JSON.parse(Buffer.from(body).toString("utf8")) as number;
  },
};
