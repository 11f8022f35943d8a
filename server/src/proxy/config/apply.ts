import type {
  Delta,
  Heartbeat,
  Hello,
  SnapshotChunk,
  WatchConfigResponse,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { Hello_Mode } from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { Clock } from "../../clock.ts";
import { type EncodedResource, isSameDigest } from "../../model/config-digest.ts";
import { type SealingKey, sealingKey } from "../../sealing/sealing-key.ts";
import { msFromTimestamp } from "../../wire/time.ts";
import type { CompiledLinks, Unreadable } from "./compiled-links.ts";
import { Currency } from "./currency.ts";
import { encodedOf } from "./kept-resource.ts";
import { problemOf, type ResourceVersion, type StoredChange } from "./link-table.ts";
import { openNewLink, openResource } from "./opener.ts";
import { heldRevocationOf } from "./revocation-bytes.ts";
import { inSlices, type Steps } from "./slices.ts";
import { heldChangeOf, SnapshotIntake, type WholeState } from "./snapshot-intake.ts";
import { type ConfigCursor, type HeldChange, HeldState } from "./state.ts";

/** Why the state is asked for anew. */
export type ResyncKind = "sequence" | "digest" | "incomplete" | "shrink" | "other_installation";

/** What an event did. `resync`: the stream and our state do not fit together; connect anew, and let the server decide. */
export type Applied =
  /** `whole`: a snapshot. */
  | { readonly result: "applied"; readonly whole: boolean }
  | { readonly result: "nothing" }
  | { readonly result: "resync"; readonly kind: ResyncKind; readonly why: string };

/** What the control plane said of itself and of the fleet. */
export interface FleetFacts {
  readonly installationId: string;
  readonly fleetKey: SealingKey;
  readonly fleetKeyBytes: Uint8Array;
}

const NOTHING: Applied = { result: "nothing" };
const resync = (kind: ResyncKind, why: string): Applied => ({ result: "resync", kind, why });

/**
 * Keeps the configuration in step with the stream: every event applied whole, in order, or not at all. Large ones are
 * prepared in slices beside what is in force. One event at a time: the next only when the answer is there.
 */
export class ConfigReceiver {
  /** How current what is in force is. */
  readonly currency: Currency;
  readonly #links: CompiledLinks;
  readonly #clock: Clock;
  #held: HeldState;
  /** What belongs to the state held. */
  #fleet: FleetFacts | undefined;
  /** What belongs to the snapshot that is coming: the fleet has another key once a proxy was revoked. */
  #announced: FleetFacts | undefined;
  #epoch = "";
  #intake: SnapshotIntake | undefined;
  #unknownKinds = 0;

  constructor(links: CompiledLinks, clock: Clock, currency = new Currency(clock)) {
    this.#links = links;
    this.#clock = clock;
    this.#held = new HeldState(links.revocations);
    this.currency = currency;
  }

  get cursor(): ConfigCursor | undefined {
    return this.#held.cursor;
  }

  get fleet(): FleetFacts | undefined {
    return this.#fleet;
  }

  /** What is held, itself: for the disk, which reads it while it changes. */
  get state(): HeldState {
    return this.#held;
  }

  /** Everything held, as it came. */
  resources(): Iterable<EncodedResource> {
    return this.#held.resources();
  }

  /** Takes over a state kept on disk; only before any event. */
  restore(fleet: FleetFacts, state: HeldState): void | Promise<void> {
    return inSlices(this.#replaceBy(state, fleet), this.#clock);
  }

  receive({ event }: WatchConfigResponse): Applied | Promise<Applied> {
    switch (event.case) {
      case "hello":
        return this.#hello(event.value);
      case "snapshot":
        return inSlices(this.#snapshot(event.value), this.#clock);
      case "delta":
        return inSlices(this.#delta(event.value), this.#clock);
      case "heartbeat":
        return this.#heartbeat(event.value);
      default:
        return NOTHING;
    }
  }

  #hello({ epoch, mode, fleetKey, installationId, headSequence }: Hello): Applied {
    // A control plane that was pointed at another database would take every link out of service.
    if (this.#fleet !== undefined && this.#fleet.installationId !== installationId)
      return resync(
        "other_installation",
        "the control plane is another installation's: empty the data directory to follow it",
      );
    const fleet = { installationId, fleetKey: sealingKey(fleetKey), fleetKeyBytes: fleetKey };
    this.#epoch = epoch;
    this.currency.headIs(headSequence);
    this.#intake = mode === Hello_Mode.RESUME ? undefined : new SnapshotIntake(this.#held);
    this.#announced = fleet;
    if (this.#intake !== undefined) return NOTHING;
    if (this.#fleet !== undefined && this.#fleet.fleetKey.id !== fleet.fleetKey.id)
      return resync("sequence", "the stream resumes under another key than the state we hold");
    this.#fleet = fleet;
    if (this.cursor?.epoch !== epoch) return resync("sequence", "the stream resumes a history we do not hold");
    if (this.cursor.sequence === headSequence) this.currency.proven();
    return NOTHING;
  }

  *#snapshot(chunk: SnapshotChunk): Steps<Applied> {
    const fleet = this.#announced;
    if (this.#intake === undefined || fleet === undefined)
      return resync("sequence", "a snapshot that was not announced");
    const taken = yield* this.#intake.take(chunk);
    if (taken === undefined) return NOTHING;
    this.#intake = undefined;
    if ("why" in taken) return resync(taken.kind, taken.why);
    const { state, sequence, unknownKinds }: WholeState = taken;
    state.moveTo(this.#epoch, sequence);
    yield* this.#replaceBy(state, fleet);
    this.#unknownKinds = unknownKinds;
    this.currency.appliedUpTo(sequence);
    return { result: "applied", whole: true };
  }

  /** Puts another state in the place of the one held, and in force. */
  *#replaceBy(state: HeldState, fleet: FleetFacts): Steps<void> {
    const changes = yield* this.#differenceTo(state, fleet);
    const { revocations } = state;
    const commit = yield* this.#links.prepareWhole({ ...changes, revocations });
    commit();
    this.#held = state;
    this.#fleet = fleet;
    this.#links.becomeReady(fleet.installationId);
  }

  /** What it takes to get from what is held to another state. An older version replaces a newer one (a restored database). */
  *#differenceTo(state: HeldState, fleet: FleetFacts): Steps<Opened> {
    const opened = nothingOpened();
    for (const kept of state.kept()) {
      const held = this.#held.keptAt(kept);
      if (held !== kept) open({ op: "upsert", resource: encodedOf(kept) }, fleet, opened, held === undefined);
      yield;
    }
    for (const { kind, name, version } of this.#held.kept()) {
      if (state.keptAt({ kind, name }) === undefined) open({ op: "delete", kind, name, version }, fleet, opened);
      yield;
    }
    return opened;
  }

  *#delta({ fromSequence, toSequence, changes, stateDigest, commitTime }: Delta): Steps<Applied> {
    const { cursor } = this;
    const fleet = this.#fleet;
    if (fleet === undefined || cursor === undefined || this.#intake !== undefined)
      return resync("sequence", "a change before the state");
    if (fromSequence !== cursor.sequence || cursor.epoch !== this.#epoch)
      return resync("sequence", "a change is missing");
    const known = changes.flatMap(heldChangeOf);
    const opened = nothingOpened();
    for (const change of this.#held.newer(known)) open(change, fleet, opened);
    const commit = yield* this.#links.prepare(opened.stored);
    commit();
    this.#unknownKinds += changes.length - known.length;
    this.#held.apply(known);
    for (const change of known) this.#settleRevocation(change);
    for (const { change, message } of opened.unreadable) this.#links.reject(change, message);
    this.#held.moveTo(this.#epoch, toSequence);
    this.currency.delta(toSequence, msFromTimestamp(commitTime));
    return this.#checked(stateDigest, { result: "applied", whole: false });
  }

  #heartbeat({ headSequence, stateDigest }: Heartbeat): Applied {
    this.currency.headIs(headSequence);
    if (this.cursor?.sequence !== headSequence) return NOTHING;
    const checked = this.#checked(stateDigest, NOTHING);
    if (checked.result !== "resync") this.currency.proven();
    return checked;
  }

  /** Every fault that loses or reorders a change ends here, visibly, instead of in silent drift. */
  #checked(digest: Uint8Array, otherwise: Applied): Applied {
    return this.#unknownKinds > 0 || isSameDigest(digest, this.#held.digest)
      ? otherwise
      : resync("digest", "the state is not the control plane's");
  }

  /** What the state holds of revocations is in force already. */
  #settleRevocation(change: HeldChange): void {
    const { kind, name, version } = change.op === "delete" ? change : change.resource;
    if (kind !== "revocation") return;
    const isHeld = this.#held.revocations.get(name) !== undefined;
    if (change.op === "delete" || isHeld) this.#links.accept({ kind, name, version });
  }
}

/** Changes read: those that can be put in force, what is gone besides, and the others. */
interface Opened {
  readonly stored: StoredChange[];
  readonly gone: ResourceVersion[];
  readonly unreadable: Unreadable[];
}

const nothingOpened = (): Opened => ({ stored: [], gone: [], unreadable: [] });

/** Revocations that the index holds are none of these. @param isNew of a whole state, and no version of it is held */
function open(change: HeldChange, fleet: FleetFacts, into: Opened, isNew = false): void {
  if (change.op === "delete") {
    const { kind, name, version } = change;
    if (kind === "revocation") into.gone.push({ kind, name, version });
    else into.stored.push({ kind, name, version, resource: undefined });
    return;
  }
  const { resource } = change;
  const { kind, name, version } = resource;
  if (heldRevocationOf(resource) !== undefined) return;
  try {
    const stored = isNew && kind === "link" ? openNewLink(resource) : openResource(resource, fleet.fleetKey);
    into.stored.push({ kind: stored.kind, name, version, resource: stored });
  } catch (cause) {
    into.unreadable.push({ change: { kind, name, version }, message: problemOf(cause) });
  }
}
