import type { Clock } from "../clock.ts";
import { ConduitError } from "../model/errors.ts";
import { keyBytes, type SealingKey } from "../sealing/sealing-key.ts";
import type { Admission } from "./admission.ts";
import type { Bell } from "./bell.ts";
import type { Fleet } from "./fleet.ts";
import { encodeDrain, encodeHello, type SnapshotReason } from "./frames.ts";
import type { HubObserver } from "./observer.ts";
import type { Pace } from "./pace.ts";
import { type ConfigCursor, type LogView, reasonForSnapshot } from "./resume.ts";
import type { Ring } from "./ring.ts";
import type { Snapshots } from "./snapshot.ts";

/** Pause after which a heartbeat comes; a client gives up after three. */
export const HEARTBEAT_INTERVAL_MS = 10_000;
/** Readers of a replica that goes away come back elsewhere within this time, spread at random. */
const RECONNECT_WITHIN_MS = 5_000;
/** A snapshot that takes longer to send keeps memory that is needed for others. */
const SNAPSHOT_SEND_MAX_MS = 120_000;

/** Who watches, from where. */
export interface WatchOptions {
  /** Resource name of the proxy. */
  readonly proxyName: string;
  /** Undefined = it holds nothing. */
  readonly resumeFrom?: ConfigCursor;
  /** Ends the stream without an error. */
  readonly signal: AbortSignal;
}

/** The log as this replica follows it. Its values change; `bell` rings when they do. */
export interface LiveLog extends LogView {
  readonly ring: Ring;
  readonly bell: Bell;
  readonly pace: Pace;
  readonly isDraining: boolean;
  /** Grows with each heartbeat that is due. */
  readonly heartbeatRound: number;
  /** Encoded heartbeat at the ring's head, shared by all readers. */
  heartbeat(): Uint8Array;
  /** Resolves when everything committed before is in the ring. */
  catchUp(): Promise<void>;
}

export interface WatchEffects {
  /** Throws `proxy_revoked` for a proxy that has been; asks the database. */
  admit(proxyName: string): Promise<void>;
  readonly fleet: Fleet;
  readonly snapshots: Snapshots;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly observer: HubObserver;
}

/**
 * One reader's stream of encoded `WatchConfigResponse`s: Hello, a snapshot if its cursor does not lead on, then deltas and
 * heartbeats. The reader is a cursor over the ring, whatever its pace: it costs no memory. One that falls off the ring, and
 * everyone when a new epoch begins, gets an error and comes back with its cursor; its next Hello says what follows.
 * Who resumes is served at once; who needs a snapshot may have to wait after its Hello.
 * @throws ConduitError `proxy_revoked`, `not_ready` (come back: fallen behind, new epoch, drained), `rate_limited` (too many snapshots are
 *   asked for), `store_unavailable`
 */
export async function* watchLog(
  { proxyName, resumeFrom, signal }: WatchOptions,
  log: LiveLog,
  effects: WatchEffects,
): AsyncGenerator<Uint8Array, void, undefined> {
  // Another replica may have been quicker: not to be taken for a reader from the future.
  if (resumeFrom !== undefined && resumeFrom.sequence > log.ring.head().sequence) await log.catchUp();
  const fleetKey = await admittedKey(proxyName, effects);
  const { epoch } = log;
  const reason = reasonForSnapshot(resumeFrom, log);
  if (reason !== undefined) requireRoom(effects);
  effects.observer.streamBegan(reason);
  try {
    yield hello(proxyName, reason, log, { ...effects, fleetKey });
    const cursor = reason === undefined ? resumeFrom?.sequence : yield* sendSnapshot(epoch, log, signal, effects);
    if (cursor !== undefined) yield* follow(cursor, epoch, log, signal, effects.observer);
  } finally {
    effects.observer.streamEnded();
  }
}

/**
 * The fleet key for a proxy's Hello. It is taken first and the proxy looked up then: one that was let in a moment before it
 * was revoked must not be handed the key that was made to shut it out.
 */
async function admittedKey(proxyName: string, { fleet, admit }: WatchEffects): Promise<SealingKey> {
  for (;;) {
    const { fleetKey } = fleet;
    await admit(proxyName);
    if (fleet.fleetKey === fleetKey) return fleetKey;
  }
}

/** Before the reader is told anything: it goes on with what it holds, and comes again. */
function requireRoom({ admission, observer }: WatchEffects): void {
  try {
    admission.requireRoom();
  } catch (cause) {
    observer.refused();
    throw cause;
  }
}

/** Sends a snapshot when it is the reader's turn; returns its sequence, undefined = the reader has gone. */
async function* sendSnapshot(
  epoch: string,
  log: LiveLog,
  signal: AbortSignal,
  { admission, snapshots, clock, observer }: WatchEffects,
): AsyncGenerator<Uint8Array, bigint | undefined, undefined> {
  const leave = await admission.enter(signal).catch((cause: unknown) => {
    if (signal.aborted) return undefined;
    observer.refused();
    throw cause;
  });
  if (leave === undefined) return undefined;
  const start = clock.monotonic();
  const { snapshot, release } = await snapshots.lease(epoch, log.ring.base().sequence).catch((cause: unknown) => {
    leave();
    throw cause;
  });
  try {
    if (snapshot.epoch !== epoch) throw comeBack("A new configuration epoch has begun: resume");
    for (const chunk of snapshot.chunks) {
      // What it would be followed by is gone already: sending on would be in vain.
      if (log.isDraining) throw comeBack("This replica is going away: resume elsewhere");
      if (log.epoch !== epoch || snapshot.sequence < log.ring.base().sequence) {
        observer.fellOff();
        throw comeBack("The reader has fallen behind the log: resume");
      }
      if (clock.monotonic() - start > SNAPSHOT_SEND_MAX_MS) throw comeBack("The reader takes too long: resume");
      yield chunk;
    }
    return snapshot.sequence;
  } finally {
    release();
    leave();
  }
}

async function* follow(
  start: bigint,
  epoch: string,
  log: LiveLog,
  signal: AbortSignal,
  observer: HubObserver,
): AsyncGenerator<Uint8Array, void, undefined> {
  let cursor = start;
  let round = log.heartbeatRound;
  let sent: () => void = () => {};
  try {
    while (!signal.aborted) {
      if (log.epoch !== epoch) throw comeBack("A new configuration epoch has begun: resume");
      if (cursor < log.ring.base().sequence) {
        observer.fellOff();
        throw comeBack("The reader has fallen behind the log: resume");
      }
      const frame = log.ring.after(cursor);
      if (frame !== undefined) {
        sent();
        sent = log.pace.sending();
        yield frame.bytes;
        cursor = frame.sequence;
      } else if (log.isDraining) {
        yield encodeDrain(RECONNECT_WITHIN_MS);
        throw comeBack("This replica is going away: resume elsewhere");
      } else if (round !== log.heartbeatRound && cursor === log.ring.head().sequence) {
        round = log.heartbeatRound;
        yield log.heartbeat();
      } else {
        sent();
        await log.bell.wait(signal);
      }
    }
  } finally {
    sent();
  }
}

const comeBack = (detail: string): ConduitError => new ConduitError("not_ready", { detail });

function hello(
  proxy: string,
  snapshotReason: SnapshotReason | undefined,
  log: LiveLog,
  { fleet, clock, fleetKey }: Pick<WatchEffects, "fleet" | "clock"> & { readonly fleetKey: SealingKey },
): Uint8Array {
  return encodeHello({
    epoch: log.epoch,
    headSequence: log.ring.head().sequence,
    snapshotReason,
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
    nowMs: clock.now(),
    fleetKey: keyBytes(fleetKey),
    installationId: fleet.installationId,
    proxy,
  });
}
