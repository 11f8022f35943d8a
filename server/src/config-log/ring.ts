/** One transaction, encoded once for every reader; or several, when they came at once. */
export interface Frame {
  /** Of the last transaction in it. */
  readonly sequence: bigint;
  /** Digest of the state after it. */
  readonly digest: Uint8Array;
  /** Encoded `WatchConfigResponse`. */
  readonly bytes: Uint8Array;
}

/** A place in the log. */
export interface LogPosition {
  readonly sequence: bigint;
  readonly digest: Uint8Array;
}

/** The end of the log in memory: what readers that are nearly up to date still need. */
export interface Ring {
  /** Where the ring ends. */
  head(): LogPosition;
  /** Where it begins: a reader that holds less has fallen off. */
  base(): LogPosition;
  /** Digest after a sequence between base and head; undefined outside. */
  digestAt(sequence: bigint): Uint8Array | undefined;
  /** The frame that follows a sequence, the one that leads furthest; undefined when there is none yet, or no longer. */
  after(sequence: bigint): Frame | undefined;
  /** Adds the frame that follows the head. @throws TypeError for any other: a hole would lose a change silently */
  push(frame: Frame): void;
  /** Adds a short cut: one frame that does what those after `from` up to its sequence do, all of which were pushed. */
  join(from: bigint, frame: Frame): void;
}

export interface RingLimits {
  readonly bytesMax: number;
  readonly framesMax: number;
}

export const RING_LIMITS: RingLimits = { bytesMax: 32 * 1024 * 1024, framesMax: 50_000 };

/** An empty ring that begins at a place in the log. */
export function createRing(start: LogPosition, limits: RingLimits = RING_LIMITS): Ring {
  const frames = new Map<bigint, Frame>();
  /** By the sequence of the first frame they stand for, and forgotten with it. */
  const joined = new Map<bigint, Frame>();
  let base = start;
  let head = start;
  let bytes = 0;

  function trim(): void {
    for (const frame of frames.values()) {
      if (bytes <= limits.bytesMax && frames.size <= limits.framesMax) return;
      frames.delete(frame.sequence);
      bytes -= frame.bytes.length + (joined.get(frame.sequence)?.bytes.length ?? 0);
      joined.delete(frame.sequence);
      base = frame;
    }
  }

  return {
    head: () => head,
    base: () => base,
    digestAt: (sequence) => (sequence === base.sequence ? base.digest : frames.get(sequence)?.digest),
    after: (sequence) => joined.get(sequence + 1n) ?? frames.get(sequence + 1n),
    push(frame) {
      if (frame.sequence !== head.sequence + 1n) throw new TypeError("the config log has a hole");
      frames.set(frame.sequence, frame);
      bytes += frame.bytes.length;
      head = frame;
      trim();
    },
    join(from, frame) {
      if (!frames.has(from + 1n)) return;
      joined.set(from + 1n, frame);
      bytes += frame.bytes.length;
      trim();
    },
  };
}
