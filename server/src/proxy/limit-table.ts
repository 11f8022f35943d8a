import { hash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Limit } from "../model/link.ts";
import { fullAtMs, type Reservation, reserve } from "../policy/limit.ts";

/** Buckets kept by one process; R8. */
const BUCKETS_MAX = 1_000_000;
/** Buckets looked at for each new one when the table is full: bounds the work of a request. */
const SCANNED = 32;
/** Longer keys are hashed: a subject of kilobytes must not fill the table's memory. Usual ones stay below. */
const KEY_MAX_LENGTH = 192;

interface Bucket {
  state: number;
  /** The limit it was last judged by; says when it is full again. */
  limit: Limit;
}

/** One limit as it applies to one request. */
export interface LimitQuestion {
  readonly limit: Limit;
  /** Link, limit and whom it counts, in one text. */
  readonly key: string;
}

/**
 * The rate limits' buckets of this process. Time is monotonic, so that a jump of the clock opens no window (R7). Outlives
 * configuration changes: the key holds all that distinguishes a bucket.
 */
export class LimitTable {
  readonly #clock: Clock;
  readonly #bucketsMax: number;
  readonly #buckets = new Map<string, Bucket>();
  #scan: IterableIterator<[string, Bucket]> | undefined;

  constructor(clock: Clock, bucketsMax = BUCKETS_MAX) {
    this.#clock = clock;
    this.#bucketsMax = bucketsMax;
  }

  /** Number of buckets held. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one request from every bucket, or from none when one refuses. Answers stand in the order of the questions. */
  take(questions: readonly LimitQuestion[]): readonly Reservation[] {
    const nowMs = this.#clock.monotonic();
    const keys = questions.map(({ key }) => boundedKey(key));
    const reservations = questions.map(({ limit }, at) => this.#judge(keys[at] as string, limit, nowMs));
    if (reservations.every(({ isAllowed }) => isAllowed)) {
      for (const [at, { state }] of reservations.entries()) {
        if (state !== undefined) this.#keep(keys[at] as string, state, (questions[at] as LimitQuestion).limit);
      }
      return reservations;
    }
    // Nothing is taken from those that would have allowed it: their numbers are the ones before.
    return reservations.map((it) => (it.isAllowed ? { ...it, remaining: it.remaining + 1 } : it));
  }

  #judge(key: string, limit: Limit, nowMs: number): Reservation {
    const bucket = this.#buckets.get(key);
    if (bucket !== undefined || this.#buckets.size < this.#bucketsMax || this.#makeRoom(nowMs)) {
      return reserve(bucket?.state, limit, nowMs);
    }
    // A million exhausted buckets: refusing a new key is the only answer that frees no exhausted one early.
    return { isAllowed: false, remaining: 0, resetSeconds: 1, retryAfterSeconds: 1, state: undefined };
  }

  #keep(key: string, state: number, limit: Limit): void {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) this.#buckets.set(key, { state, limit });
    else {
      bucket.state = state;
      bucket.limit = limit;
    }
  }

  /** Forgets full buckets, or one that would admit a request now: never one that refuses. False = all scanned refuse. */
  #makeRoom(nowMs: number): boolean {
    let spare: string | undefined;
    for (let seen = 0; seen < SCANNED; seen += 1) {
      const next = this.#nextScanned();
      if (next === undefined) break;
      const [key, { state, limit }] = next;
      if (fullAtMs(state, limit) <= nowMs) this.#buckets.delete(key);
      else if (reserve(state, limit, nowMs).isAllowed) spare ??= key;
    }
    if (this.#buckets.size < this.#bucketsMax) return true;
    return spare !== undefined && this.#buckets.delete(spare);
  }

  /** Goes round and round, in order of insertion. */
  #nextScanned(): [string, Bucket] | undefined {
    const next = this.#scan?.next();
    if (next !== undefined && next.done !== true) return next.value;
    this.#scan = this.#buckets.entries();
    const first = this.#scan.next();
    return first.done === true ? undefined : first.value;
  }
}

const boundedKey = (key: string): string => (key.length <= KEY_MAX_LENGTH ? key : `\n${hash("sha256", key, "base64")}`);
