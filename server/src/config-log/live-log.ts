import type { Clock } from "../clock.ts";
import { EMPTY_DIGEST } from "../model/config-digest.ts";
import type { ConfigHead } from "../store/config-head.ts";
import type { ConfigTransaction } from "../store/config-log.ts";
import { type Bell, createBell } from "./bell.ts";
import { encodeDelta, encodeHeartbeat } from "./frames.ts";
import { mergeTransactions } from "./merge.ts";
import type { HubObserver } from "./observer.ts";
import { createPace } from "./pace.ts";
import { createRing, type Frame, type LogPosition, RING_LIMITS, type Ring, type RingLimits } from "./ring.ts";
import type { Follower, Tail } from "./tail.ts";
import type { LiveLog } from "./watch.ts";

/** The log in memory: fed by the tail, read by the streams. */
export interface FollowedLog {
  readonly live: LiveLog;
  readonly follower: Follower;
  readonly bell: Bell;
  /** A heartbeat is due. */
  beat(): void;
  /** Streams end after what is in the ring. */
  drain(): void;
}

/** Bytes of transactions that are joined in one frame; grpc-js receives 4 MiB by default. */
const JOINED_MAX_BYTES = 1_000_000;
const ENTRY_OVERHEAD_BYTES = 32;

export interface FollowedLogOptions {
  readonly clock: Clock;
  /** Asked when a stream must not wait for the next wake-up. */
  readonly tail: () => Tail;
  readonly limits?: RingLimits;
  readonly observer: HubObserver;
}

/** An empty log in memory. */
export function createFollowedLog({ clock, tail, limits = RING_LIMITS, observer }: FollowedLogOptions): FollowedLog {
  const bell = createBell();
  const pace = createPace();
  let head: Pick<ConfigHead, "epoch" | "compactedSequence"> = { epoch: "", compactedSequence: 0n };
  let ring: Ring = createRing({ sequence: 0n, digest: EMPTY_DIGEST }, limits);
  let isDraining = false;
  let isWarmingUp = true;
  let heartbeatRound = 0;
  let encoded: { readonly round: number; readonly at: LogPosition; readonly bytes: Uint8Array } | undefined;

  const live: LiveLog = {
    get epoch() {
      return head.epoch;
    },
    get compactedSequence() {
      return head.compactedSequence;
    },
    get ring() {
      return ring;
    },
    get isDraining() {
      return isDraining;
    },
    get heartbeatRound() {
      return heartbeatRound;
    },
    bell,
    pace,
    heartbeat() {
      const at = ring.head();
      if (encoded?.round !== heartbeatRound || encoded.at !== at)
        encoded = { round: heartbeatRound, at, bytes: encodeHeartbeat(at.sequence, at.digest, clock.now()) };
      return encoded.bytes;
    },
    catchUp: () => tail().catchUp(),
  };
  const follower: Follower = {
    begin(newHead, from) {
      head = newHead;
      ring = createRing(from, limits);
      isWarmingUp = true;
      bell.ring();
    },
    append(transactions) {
      for (const transaction of transactions) {
        ring.push(frameOf([transaction]));
        observer.read(Math.max(0, clock.now() - transaction.commitTime.getTime()));
      }
      // Nobody stands at the beginning of what a replica reads at its start.
      if (!isWarmingUp) joinRuns(ring, transactions);
      bell.ring();
    },
    see(newHead) {
      head = newHead;
      isWarmingUp = false;
    },
    ready: () => pace.sent(),
  };
  return {
    live,
    follower,
    bell,
    beat() {
      heartbeatRound += 1;
      bell.ring();
    },
    drain() {
      isDraining = true;
      bell.ring();
    },
  };
}

function frameOf(transactions: readonly ConfigTransaction[]): Frame {
  const merged = mergeTransactions(transactions);
  return { sequence: merged.sequence, digest: merged.digest, bytes: encodeDelta(merged) };
}

/** Adds short cuts for transactions that were read together, none of them too large to receive. */
function joinRuns(ring: Ring, transactions: readonly ConfigTransaction[]): void {
  let run: ConfigTransaction[] = [];
  let bytes = 0;
  const end = (): void => {
    const [first] = run;
    if (first !== undefined && run.length > 1) ring.join(first.sequence - 1n, frameOf(run));
    run = [];
    bytes = 0;
  };
  for (const transaction of transactions) {
    const size = sizeOf(transaction);
    if (bytes + size > JOINED_MAX_BYTES) end();
    run.push(transaction);
    bytes += size;
  }
  end();
}

/** About. */
const sizeOf = ({ entries }: ConfigTransaction): number =>
  entries.reduce((sum, { name, payload }) => sum + name.length + (payload?.length ?? 0) + ENTRY_OVERHEAD_BYTES, 0);
