import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  Hello_Mode,
  Hello_SnapshotReason,
  type ResourceChangeSchema,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { EncodedResource } from "../model/config-digest.ts";
import type { ConfigEntry, ConfigTransaction } from "../store/config-log.ts";
import { kindToProto } from "../wire/config.ts";

type Event = MessageInitShape<typeof WatchConfigResponseSchema>["event"];

const encode = (event: NonNullable<Event>): Uint8Array =>
  toBinary(WatchConfigResponseSchema, create(WatchConfigResponseSchema, { event }));

/** Why a stream starts with a snapshot. */
export type SnapshotReason =
  | "cold_start"
  | "compacted"
  | "epoch_changed"
  | "client_ahead"
  | "digest_mismatch"
  | "too_far_behind";

const REASONS: Readonly<Record<SnapshotReason, Hello_SnapshotReason>> = {
  cold_start: Hello_SnapshotReason.COLD_START,
  compacted: Hello_SnapshotReason.COMPACTED,
  epoch_changed: Hello_SnapshotReason.EPOCH_CHANGED,
  client_ahead: Hello_SnapshotReason.CLIENT_AHEAD,
  digest_mismatch: Hello_SnapshotReason.DIGEST_MISMATCH,
  too_far_behind: Hello_SnapshotReason.TOO_FAR_BEHIND,
};

export interface HelloValues {
  readonly epoch: string;
  readonly headSequence: bigint;
  /** Undefined = resume. */
  readonly snapshotReason: SnapshotReason | undefined;
  readonly heartbeatIntervalMs: number;
  readonly nowMs: number;
  readonly fleetKey: Uint8Array;
  readonly installationId: string;
  /** Resource name. */
  readonly proxy: string;
}

/** The first frame of a stream. Holds the fleet key: never logged, never shared between streams. */
export function encodeHello({ snapshotReason, heartbeatIntervalMs, nowMs, ...values }: HelloValues): Uint8Array {
  const how =
    snapshotReason === undefined
      ? { mode: Hello_Mode.RESUME }
      : { mode: Hello_Mode.SNAPSHOT, snapshotReason: REASONS[snapshotReason] };
  const heartbeatInterval = durationFromMs(heartbeatIntervalMs);
  return encode({ case: "hello", value: { ...values, ...how, heartbeatInterval, serverTime: timestampFromMs(nowMs) } });
}

/** A transaction with, when it stands for several (merge.ts), the sequence before the first. */
type DeltaValues = ConfigTransaction & { readonly from?: bigint };

/** One transaction, or several that came at once. */
export const encodeDelta = ({ sequence, digest, commitTime, entries, from = sequence - 1n }: DeltaValues): Uint8Array =>
  encode({
    case: "delta",
    value: {
      fromSequence: from,
      toSequence: sequence,
      changes: entries.map(toChange),
      commitTime: timestampFromMs(commitTime.getTime()),
      stateDigest: digest,
    },
  });

export interface SnapshotChunkValues {
  readonly sequence: bigint;
  readonly index: number;
  readonly last: boolean;
  readonly totalResources: bigint;
  /** As the database counts them. */
  readonly countedResources: bigint;
  readonly resources: readonly EncodedResource[];
  readonly stateDigest: Uint8Array;
}

export const encodeSnapshotChunk = ({ resources, ...values }: SnapshotChunkValues): Uint8Array =>
  encode({ case: "snapshot", value: { ...values, resources: resources.map(toChange) } });

export const encodeHeartbeat = (headSequence: bigint, stateDigest: Uint8Array, nowMs: number): Uint8Array =>
  encode({ case: "heartbeat", value: { headSequence, stateDigest, serverTime: timestampFromMs(nowMs) } });

export const encodeDrain = (reconnectWithinMs: number): Uint8Array =>
  encode({ case: "drain", value: { reconnectWithin: durationFromMs(reconnectWithinMs) } });

const toChange = ({ kind, name, version, payload }: ConfigEntry): MessageInitShape<typeof ResourceChangeSchema> => ({
  kind: kindToProto(kind),
  name,
  version,
  change: payload === undefined ? { case: "delete", value: {} } : { case: "upsert", value: payload },
});
