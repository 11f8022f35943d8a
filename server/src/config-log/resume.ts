import { isSameDigest } from "../model/config-digest.ts";
import type { SnapshotReason } from "./frames.ts";
import type { Ring } from "./ring.ts";

/** What a reader holds: where in which history, and what its state looks like there. */
export interface ConfigCursor {
  readonly epoch: string;
  readonly sequence: bigint;
  readonly digest: Uint8Array;
}

/** The log as a replica knows it. */
export interface LogView {
  readonly epoch: string;
  /** The database's log begins after it. */
  readonly compactedSequence: bigint;
  readonly ring: Pick<Ring, "head" | "base" | "digestAt">;
}

/**
 * Why a reader cannot go on from its cursor and needs a snapshot; undefined = it can. The digest also finds a reader whose
 * state is not what it should be there (a flipped bit on its disk, a fault of ours).
 */
export function reasonForSnapshot(cursor: ConfigCursor | undefined, log: LogView): SnapshotReason | undefined {
  if (cursor === undefined || cursor.epoch === "") return "cold_start";
  if (cursor.epoch !== log.epoch) return "epoch_changed";
  if (cursor.sequence > log.ring.head().sequence) return "client_ahead";
  if (cursor.sequence < log.compactedSequence) return "compacted";
  if (cursor.sequence < log.ring.base().sequence) return "too_far_behind";
  const digest = log.ring.digestAt(cursor.sequence);
  return digest !== undefined && isSameDigest(digest, cursor.digest) ? undefined : "digest_mismatch";
}
