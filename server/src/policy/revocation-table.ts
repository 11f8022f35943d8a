import { REVOCATION_KEY_BYTES, type RevocationEntry } from "../model/revocation.ts";

/** A revocation held, with what the config stream says of it. */
export interface HeldRevocation {
  /** `revocationStreamName`: 32 hexadecimal digits. */
  readonly name: string;
  readonly version: bigint;
  readonly entry: RevocationEntry;
}

/** Words of an entry: name, key, issued before, expiry, version, next entry of the same key bucket and name bucket. */
export const NAME = 0;
export const KEY = 4;
export const ISSUED_BEFORE = 8;
export const EXPIRE = 9;
export const VERSION = 10;
export const NEXT_BY_KEY = 12;
/** Of a place given back: the next free one. */
export const NEXT_BY_NAME = 13;
export const ENTRY_WORDS = 14;

/** Entries are numbered from 1. */
export const NONE = 0;
/** `issuedBefore` of an entry that applies whenever the token was issued: every time is before it. */
export const ALWAYS = 0xffff_ffff;
export const KEY_WORDS = REVOCATION_KEY_BYTES / 4;

/** Words of `facts`: how often something changed, twice each time (odd = in the middle); entries held; buckets. */
const CHANGES = 0;
const SIZE = 1;
const BUCKETS = 2;
const FACTS_WORDS = 3;

/** Buckets at the beginning; a power of two. */
const BUCKETS_MIN = 1_024;
/** Address space kept for one table; memory is taken as it fills. */
const ENTRIES_MAX = 1 << 24;
const BUCKETS_MAX = 2 * ENTRIES_MAX;
/** Memory is taken in steps of so many entries, and buckets. */
const STEP = 16_384;

/** The memory of one table: what another thread of this process needs to look up in it. */
export interface SharedRevocations {
  readonly facts: SharedArrayBuffer;
  readonly entries: SharedArrayBuffer;
  /** By key: of each bucket the first entry. */
  readonly keyBuckets: SharedArrayBuffer;
  readonly factors: Uint32Array;
}

/** Memory for an empty table. @param factors odd numbers that spread keys over the buckets */
export const sharedRevocations = (factors: Uint32Array): SharedRevocations => ({
  facts: initialFacts(),
  entries: growable(STEP * ENTRY_WORDS, ENTRIES_MAX * ENTRY_WORDS),
  keyBuckets: growable(BUCKETS_MIN, BUCKETS_MAX),
  factors,
});

/** A bucket table of the writer alone. */
export const ownBuckets = (): SharedArrayBuffer => growable(BUCKETS_MIN, BUCKETS_MAX);

function initialFacts(): SharedArrayBuffer {
  const facts = new SharedArrayBuffer(FACTS_WORDS * 4);
  new Uint32Array(facts)[BUCKETS] = BUCKETS_MIN;
  return facts;
}

const growable = (words: number, maxWords: number): SharedArrayBuffer =>
  new SharedArrayBuffer(words * 4, { maxByteLength: maxWords * 4 });

/** Makes room for `words`; the view over it, the old one when it was enough. @throws RangeError beyond the maximum */
export function grown(memory: SharedArrayBuffer, view: Uint32Array, words: number, unit: number): Uint32Array {
  if (words > view.length) memory.grow(Math.min(memory.maxByteLength, (view.length + STEP * unit) * 4));
  return words > view.length ? viewOf(memory) : view;
}

/** A view of fixed length: one that follows the memory's growth is slower at each access. */
export const viewOf = (memory: SharedArrayBuffer): Uint32Array => new Uint32Array(memory, 0, memory.byteLength >> 2);

/**
 * Looks revocations up in a table that one thread of the process writes and any thread reads. Exact: 128-bit keys, no scan,
 * no false positives. A reader that was overtaken by a change looks again, so it sees the table before or after it.
 */
export class RevocationReader {
  protected readonly shared: SharedRevocations;
  protected readonly facts: Uint32Array;
  protected entryWords: Uint32Array;
  protected keyHeads: Uint32Array;
  readonly #factors: Uint32Array;

  constructor(shared: SharedRevocations) {
    this.shared = shared;
    this.facts = new Uint32Array(shared.facts);
    this.entryWords = viewOf(shared.entries);
    this.keyHeads = viewOf(shared.keyBuckets);
    this.#factors = shared.factors;
  }

  /** Number of revocations held. */
  get size(): number {
    return Atomics.load(this.facts, SIZE);
  }

  /**
   * Whether a revocation that has not expired applies to a token. `issued before` refuses `iat ≤ T` in whole seconds, and
   * tokens that do not say when they were issued.
   * @param keys `keysOfToken`; asked for only when there is any revocation
   * @param iat seconds since the epoch
   */
  isRevoked(keys: () => Uint8Array, iat: number | undefined, nowMs: number): boolean {
    if (this.size === 0) return false;
    const words = wordsOf(keys());
    const issued = iat === undefined ? 0 : Math.floor(iat);
    for (;;) {
      const before = Atomics.load(this.facts, CHANGES);
      const found = this.#isAnyRevoked(words, issued, nowMs / 1000);
      // Between two entries being linked anew a chain may skip a third: a revoked token would pass.
      if (before % 2 === 0 && Atomics.load(this.facts, CHANGES) === before) return found;
    }
  }

  #isAnyRevoked(keys: Uint32Array, issued: number, nowS: number): boolean {
    for (let from = 0; from < keys.length; from += KEY_WORDS)
      if (this.#isKeyRevoked(keys, from, issued, nowS)) return true;
    return false;
  }

  #isKeyRevoked(keys: Uint32Array, from: number, issued: number, nowS: number): boolean {
    const bucket = this.bucketOf(this.hashOf(keys, from));
    if (bucket >= this.keyHeads.length) this.keyHeads = viewOf(this.shared.keyBuckets);
    let at = this.keyHeads[bucket] ?? NONE;
    // Bounded: a chain that is being changed could lead in a circle.
    for (let steps = this.size; at !== NONE && steps >= 0; steps -= 1) {
      if (at * ENTRY_WORDS > this.entryWords.length) this.entryWords = viewOf(this.shared.entries);
      const isSame = this.holds(at, KEY, keys, from);
      if (isSame && nowS < this.word(at, EXPIRE) && issued <= this.word(at, ISSUED_BEFORE)) return true;
      at = this.word(at, NEXT_BY_KEY);
    }
    return false;
  }

  /** Linear hashing: the buckets below the split have been divided already (Litwin 1980). */
  protected bucketOf(hash: number): number {
    const buckets = this.facts[BUCKETS] ?? BUCKETS_MIN;
    const low = 1 << (31 - Math.clz32(buckets));
    const wide = hash & (2 * low - 1);
    return wide < buckets ? wide : hash & (low - 1);
  }

  protected hashOf(words: Uint32Array, from: number): number {
    let sum = 0;
    for (let index = 0; index < KEY_WORDS; index += 1)
      sum = (sum + Math.imul(words[from + index] ?? 0, this.#factors[index] ?? 1)) | 0;
    // The high bits of a product depend on all bits of its factors; the low ones name the bucket.
    const mixed = Math.imul(sum ^ (sum >>> 16), 0x9e37_79b1);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  protected holds(at: number, field: number, words: Uint32Array, from: number): boolean {
    const base = (at - 1) * ENTRY_WORDS + field;
    for (let index = 0; index < KEY_WORDS; index += 1)
      if (this.entryWords[base + index] !== words[from + index]) return false;
    return true;
  }

  protected word(at: number, field: number): number {
    return this.entryWords[(at - 1) * ENTRY_WORDS + field] ?? NONE;
  }

  protected get buckets(): number {
    return this.facts[BUCKETS] ?? BUCKETS_MIN;
  }

  protected set buckets(count: number) {
    Atomics.store(this.facts, BUCKETS, count);
  }

  /** Everything that changes the table goes through here. */
  protected change(sizeStep: number, how: () => void): void {
    Atomics.add(this.facts, CHANGES, 1);
    how();
    Atomics.add(this.facts, SIZE, sizeStep);
    Atomics.add(this.facts, CHANGES, 1);
  }
}

/** Bytes as words; copied when they lie across word borders. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
}
