import type {
  Delta,
  Heartbeat,
  Hello,
  ResourceChange,
  SnapshotChunk,
  WatchConfigResponse,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { Hello_Mode } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { type EncodedResource, isSameDigest } from "../../model/config-digest.ts";
import { type SealingKey, sealingKey } from "../../sealing/sealing-key.ts";
import { kindFromProto } from "../../wire/config.ts";
import { type CompiledLinks, type OpenedChange, problemOf } from "./compiled-links.ts";
import { openResource } from "./opener.ts";
import { type ConfigCursor, type HeldChange, HeldState } from "./state.ts";

/** What an event did. `resync`: the stream and our state do not fit together; connect anew, and let the server decide. */
export type Applied = { readonly result: "applied" | "nothing" } | { readonly result: "resync"; readonly why: string };

/** What the control plane said of itself and of the fleet. */
export interface FleetFacts {
  readonly installationId: string;
  readonly fleetKey: SealingKey;
  readonly fleetKeyBytes: Uint8Array;
}

const APPLIED: Applied = { result: "applied" };
const NOTHING: Applied = { result: "nothing" };
const resync = (why: string): Applied => ({ result: "resync", why });

/** Keeps the configuration in step with the stream: every event applied whole, in order, or not at all. */
export class ConfigReceiver {
  readonly #links: CompiledLinks;
  readonly #held: HeldState;
  #fleet: FleetFacts | undefined;
  #epoch = "";
  #isSnapshotAwaited = false;
  #chunks: SnapshotChunk[] = [];
  /** Resources of kinds that only a newer version knows: not held, so digests cannot be compared. */
  #unknownKinds = 0;

  constructor(links: CompiledLinks) {
    this.#links = links;
    this.#held = new HeldState(links.revocations);
  }

  get cursor(): ConfigCursor | undefined {
    return this.#held.cursor;
  }

  get fleet(): FleetFacts | undefined {
    return this.#fleet;
  }

  /** Everything held, as it came. */
  resources(): Iterable<EncodedResource> {
    return this.#held.resources();
  }

  /** Takes over a state kept on disk; only before any event. */
  restore(fleet: FleetFacts, cursor: ConfigCursor, resources: readonly EncodedResource[]): void {
    this.#fleet = fleet;
    const changes = this.#held.differenceTo(resources);
    this.#held.replace(changes);
    this.#putInForce(changes, fleet);
    this.#held.moveTo(cursor.epoch, cursor.sequence);
    this.#links.becomeReady(fleet.installationId);
  }

  receive({ event }: WatchConfigResponse): Applied {
    switch (event.case) {
      case "hello":
        return this.#hello(event.value);
      case "snapshot":
        return this.#snapshot(event.value);
      case "delta":
        return this.#delta(event.value);
      case "heartbeat":
        return this.#heartbeat(event.value);
      default:
        return NOTHING;
    }
  }

  #hello({ epoch, mode, fleetKey, installationId }: Hello): Applied {
    this.#fleet = { installationId, fleetKey: sealingKey(fleetKey), fleetKeyBytes: fleetKey };
    this.#epoch = epoch;
    this.#chunks = [];
    this.#isSnapshotAwaited = mode !== Hello_Mode.RESUME;
    if (this.#isSnapshotAwaited) return NOTHING;
    return this.cursor?.epoch === epoch ? NOTHING : resync("the stream resumes a history we do not hold");
  }

  #snapshot(chunk: SnapshotChunk): Applied {
    if (!this.#isSnapshotAwaited) return resync("a snapshot that was not announced");
    const [first] = this.#chunks;
    if (chunk.index !== this.#chunks.length || (first !== undefined && first.sequence !== chunk.sequence)) {
      return resync("the snapshot's parts do not follow one another");
    }
    this.#chunks.push(chunk);
    if (!chunk.last) return NOTHING;
    const { chunks, fleet } = { chunks: this.#chunks, fleet: this.#fleet };
    this.#chunks = [];
    this.#isSnapshotAwaited = false;
    return fleet === undefined ? resync("a snapshot before the greeting") : this.#replaceBy(chunks, chunk, fleet);
  }

  #replaceBy(chunks: readonly SnapshotChunk[], last: SnapshotChunk, fleet: FleetFacts): Applied {
    const upserts = chunks.flatMap((chunk) => chunk.resources);
    // A snapshot that lost its resources on the way would switch every link off; an empty one must say that it is empty.
    if (BigInt(upserts.length) !== last.totalResources) return resync("the snapshot is not complete");
    const resources = upserts
      .flatMap(heldChangeOf)
      .flatMap((change) => (change.op === "upsert" ? [change.resource] : []));
    this.#unknownKinds = upserts.length - resources.length;
    const changes = this.#held.differenceTo(resources);
    this.#held.replace(changes);
    this.#putInForce(changes, fleet);
    this.#held.moveTo(this.#epoch, last.sequence);
    this.#links.becomeReady(fleet.installationId);
    return this.#check(last.stateDigest);
  }

  #delta({ fromSequence, toSequence, changes, stateDigest }: Delta): Applied {
    const { cursor } = this;
    const fleet = this.#fleet;
    if (fleet === undefined || cursor === undefined || this.#isSnapshotAwaited)
      return resync("a change before the state");
    if (fromSequence !== cursor.sequence || cursor.epoch !== this.#epoch) return resync("a change is missing");
    const known = changes.flatMap(heldChangeOf);
    this.#unknownKinds += changes.length - known.length;
    const applied = this.#held.apply(known);
    this.#putInForce(applied, fleet);
    this.#held.moveTo(this.#epoch, toSequence);
    return this.#check(stateDigest);
  }

  #heartbeat({ headSequence, stateDigest }: Heartbeat): Applied {
    if (this.cursor?.sequence !== headSequence) return NOTHING;
    const checked = this.#check(stateDigest);
    return checked.result === "resync" ? checked : NOTHING;
  }

  /** Every fault that loses or reorders a change ends here, visibly, instead of in silent drift. */
  #check(digest: Uint8Array): Applied {
    return this.#unknownKinds > 0 || isSameDigest(digest, this.#held.digest)
      ? APPLIED
      : resync("the state is not the control plane's");
  }

  #putInForce(changes: readonly HeldChange[], fleet: FleetFacts): void {
    const opened: OpenedChange[] = [];
    for (const change of changes) {
      const { kind, name, version } = change.op === "delete" ? change : change.resource;
      // What the state holds of revocations is in force already.
      if (kind === "revocation" && (change.op === "delete" || this.#links.revocations.get(name) !== undefined))
        this.#links.accept({ kind, name, version });
      else if (kind !== "revocation" && change.op === "delete")
        opened.push({ kind, name, version, resource: undefined });
      else if (change.op === "upsert") {
        try {
          const resource = openResource(change.resource, fleet.fleetKey);
          opened.push({ kind: resource.kind, name, version, resource });
        } catch (cause) {
          this.#links.reject({ kind, name, version }, problemOf(cause));
        }
      }
    }
    this.#links.apply(opened);
  }
}

/** None for kinds of a newer version. */
function heldChangeOf({ kind, name, version, change }: ResourceChange): HeldChange[] {
  const known = kindFromProto(kind);
  if (known === undefined) return [];
  if (change.case === "upsert")
    return [{ op: "upsert", resource: { kind: known, name, version, payload: change.value } }];
  return change.case === "delete" ? [{ op: "delete", kind: known, name, version }] : [];
}
