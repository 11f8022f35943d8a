import type { ResourceChange, SnapshotChunk } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { isSameDigest } from "../../model/config-digest.ts";
import { kindFromProto } from "../../wire/config.ts";
import type { Steps } from "./slices.ts";
import { type HeldChange, HeldState } from "./state.ts";

/** A whole state that has come, beside the one in force. */
export interface WholeState {
  readonly state: HeldState;
  readonly sequence: bigint;
  /** Resources of kinds that only a newer version knows: not held, so digests cannot be compared. */
  readonly unknownKinds: number;
}

/** Why a snapshot is not taken. `kind` for metrics. */
export interface Refused {
  readonly kind: "incomplete" | "digest" | "shrink";
  readonly why: string;
}

/** A proxy with fewer resources than this takes any complete snapshot that is not empty. */
const SHRINK_MIN = 20;

/** Takes the parts of a snapshot as they come, into a state of its own: what is in force is not touched. */
export class SnapshotIntake {
  readonly #inForce: HeldState;
  readonly #state: HeldState;
  #first: SnapshotChunk | undefined;
  #parts = 0;
  #taken = 0;
  #unknownKinds = 0;

  constructor(inForce: HeldState) {
    this.#inForce = inForce;
    this.#state = new HeldState(inForce.revocations.emptyTwin());
  }

  /** Undefined until the last part. */
  *take(chunk: SnapshotChunk): Steps<WholeState | Refused | undefined> {
    this.#first ??= chunk;
    if (chunk.index !== this.#parts || chunk.sequence !== this.#first.sequence)
      return { kind: "incomplete", why: "the snapshot's parts do not follow one another" };
    this.#parts += 1;
    for (const change of chunk.resources) {
      this.#taken += 1;
      const [known] = heldChangeOf(change);
      if (known?.op === "upsert") this.#state.put(known.resource, this.#inForce.keptAt(known.resource));
      else this.#unknownKinds += 1;
      yield;
    }
    return chunk.last ? this.#whole(chunk) : undefined;
  }

  #whole({ sequence, totalResources, countedResources, stateDigest }: SnapshotChunk): WholeState | Refused {
    // A snapshot that lost its resources on the way would switch every link off; an empty one must say that it is empty.
    if (BigInt(this.#taken) !== totalResources) return { kind: "incomplete", why: "the snapshot is not complete" };
    if (this.#unknownKinds === 0 && !isSameDigest(stateDigest, this.#state.digest))
      return { kind: "digest", why: "the snapshot is not the state that the control plane says it is" };
    if (this.#isShrinking() && countedResources !== totalResources)
      return {
        kind: "shrink",
        why: "the snapshot leaves out most of what is in force, and does not say that this is all",
      };
    return { state: this.#state, sequence, unknownKinds: this.#unknownKinds };
  }

  /** Revocations are not counted: they expire by the thousand. */
  #isShrinking(): boolean {
    const [before, after] = [this.#inForce.keptCount, this.#state.keptCount];
    return after === 0 ? before > 0 : before >= SHRINK_MIN && 2 * after < before;
  }
}

/** None for kinds of a newer version. */
export function heldChangeOf({ kind, name, version, change }: ResourceChange): HeldChange[] {
  const known = kindFromProto(kind);
  if (known === undefined) return [];
  if (change.case === "upsert")
    return [{ op: "upsert", resource: { kind: known, name, version, payload: change.value } }];
  return change.case === "delete" ? [{ op: "delete", kind: known, name, version }] : [];
}
