import type { Clock } from "../clock.ts";
import { EMPTY_DIGEST } from "../model/config-digest.ts";
import type { ConfigHead } from "../store/config-head.ts";
import { type Bell, createBell } from "./bell.ts";
import { encodeDelta, encodeHeartbeat } from "./frames.ts";
import { createRing, type LogPosition, RING_LIMITS, type Ring, type RingLimits } from "./ring.ts";
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

/** An empty log in memory. `tail` is asked when a stream must not wait for the next wake-up. */
export function createFollowedLog(clock: Clock, tail: () => Tail, limits: RingLimits = RING_LIMITS): FollowedLog {
  const bell = createBell();
  let head: Pick<ConfigHead, "epoch" | "compactedSequence"> = { epoch: "", compactedSequence: 0n };
  let ring: Ring = createRing({ sequence: 0n, digest: EMPTY_DIGEST }, limits);
  let isDraining = false;
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
      bell.ring();
    },
    append(transaction) {
      const { sequence, digest } = transaction;
      ring.push({ sequence, digest, bytes: encodeDelta(transaction) });
      bell.ring();
    },
    see(newHead) {
      head = newHead;
    },
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
