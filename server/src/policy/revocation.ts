import { REVOCATION_KEY_BYTES, type RevocationEntry } from "../model/revocation.ts";

/** A revocation held, with what the config stream says of it. */
export interface HeldRevocation {
  /** `revocationStreamName`: 32 hexadecimal digits. */
  readonly name: string;
  readonly version: bigint;
  readonly entry: RevocationEntry;
}

/** Words of an entry: name, key, issued before, expiry, version, next entry of the same key bucket and name bucket. */
const NAME = 0;
const KEY = 4;
const ISSUED_BEFORE = 8;
const EXPIRE = 9;
const VERSION = 10;
const NEXT_BY_KEY = 12;
const NEXT_BY_NAME = 13;
const ENTRY_WORDS = 14;

/** Entries of one page: memory grows by so much at a time, and nothing is copied. */
const PAGE_ENTRIES = 16_384;
const BUCKETS_MIN = 1_024;
/** Entries are numbered from 1. */
const NONE = 0;
/** `issuedBefore` of an entry that applies whenever the token was issued: every time is before it. */
const ALWAYS = 0xffff_ffff;
const KEY_WORDS = REVOCATION_KEY_BYTES / 4;
const NAME_FORM = /^[0-9a-f]{32}$/;

/** Whether the index can hold it without loss: times of this century and a name of the config stream. */
export const isHoldable = ({ name, entry }: HeldRevocation): boolean =>
  isRevocationName(name) && isTime(entry.expireTimeS) && isTime(entry.issuedBeforeS ?? 0);

const isRevocationName = (name: string): boolean => NAME_FORM.test(name);
const isTime = (seconds: number): boolean => seconds >= 0 && seconds < ALWAYS;

/**
 * Exact look-ups, no scan, no false positives (128-bit keys): 56 bytes an entry and 16 to 32 bytes of bucket tables, in
 * typed arrays, so that a million revocations cost the garbage collector nothing. Several of one target stand side by side
 * under their names.
 */
export class RevocationIndex {
  readonly #pages: Uint32Array[] = [];
  #keyBuckets = new Uint32Array(BUCKETS_MIN);
  #nameBuckets = new Uint32Array(BUCKETS_MIN);
  /** A bucket's number is what this leaves of 32 bits. */
  #shift = 32 - Math.log2(BUCKETS_MIN);
  #size = 0;
  #used = 0;
  #free = NONE;
  /** Odd factors that spread keys over the buckets: who does not know them cannot fill one bucket on purpose. */
  readonly #factors: Uint32Array;

  /** @param seed 16 random bytes of this process */
  constructor(seed: Uint8Array = new Uint8Array(KEY_WORDS * 4)) {
    this.#factors = wordsOf(seed).map((word) => word | 1);
  }

  /** Number of revocations held. */
  get size(): number {
    return this.#size;
  }

  /** Adds or replaces a revocation under its name. Only what `isHoldable`. */
  set({ name, version, entry }: HeldRevocation): void {
    const nameWords = wordsOf(Buffer.from(name, "hex"));
    this.#delete(nameWords);
    // Half full at most: a look-up that finds nothing, as nearly all do, then mostly ends at an empty bucket.
    if (2 * this.#size >= this.#keyBuckets.length) this.#rehash();
    const at = this.#take();
    const page = this.#page(at);
    const base = this.#base(at);
    page.set(nameWords, base + NAME);
    page.set(wordsOf(entry.targetKey), base + KEY);
    page[base + ISSUED_BEFORE] = entry.issuedBeforeS ?? ALWAYS;
    page[base + EXPIRE] = entry.expireTimeS;
    page[base + VERSION] = Number(version & 0xffff_ffffn);
    page[base + VERSION + 1] = Number(version >> 32n);
    this.#link(at);
    this.#size += 1;
  }

  get(name: string): HeldRevocation | undefined {
    if (this.#size === 0 || !isRevocationName(name)) return undefined;
    const at = this.#find(wordsOf(Buffer.from(name, "hex")));
    return at === NONE ? undefined : this.#read(at);
  }

  /** Whether there was one. */
  delete(name: string): boolean {
    return this.#size > 0 && isRevocationName(name) && this.#delete(wordsOf(Buffer.from(name, "hex")));
  }

  /** All of them, in no order. Not to be changed meanwhile. */
  *entries(): Iterable<HeldRevocation> {
    for (const head of this.#nameBuckets)
      for (let at = head; at !== NONE; at = this.#word(at, NEXT_BY_NAME)) yield this.#read(at);
  }

  /**
   * Whether a revocation that has not expired applies to a token. `issued before` refuses `iat ≤ T` in whole seconds, and
   * tokens that do not say when they were issued.
   * @param keys `keysOfToken`; asked for only when there is any revocation
   * @param iat seconds since the epoch
   */
  isRevoked(keys: () => Uint8Array, iat: number | undefined, nowMs: number): boolean {
    if (this.#size === 0) return false;
    const words = wordsOf(keys());
    const issued = iat === undefined ? 0 : Math.floor(iat);
    for (let from = 0; from < words.length; from += KEY_WORDS)
      if (this.#isKeyRevoked(words, from, issued, nowMs / 1000)) return true;
    return false;
  }

  #isKeyRevoked(keys: Uint32Array, from: number, issued: number, nowS: number): boolean {
    let at = this.#keyBuckets[this.#bucket(keys, from)] ?? NONE;
    for (; at !== NONE; at = this.#word(at, NEXT_BY_KEY)) {
      const isSame = this.#holds(at, KEY, keys, from);
      if (isSame && nowS < this.#word(at, EXPIRE) && issued <= this.#word(at, ISSUED_BEFORE)) return true;
    }
    return false;
  }

  #find(name: Uint32Array): number {
    let at = this.#nameBuckets[this.#bucket(name, 0)] ?? NONE;
    while (at !== NONE && !this.#holds(at, NAME, name, 0)) at = this.#word(at, NEXT_BY_NAME);
    return at;
  }

  #delete(name: Uint32Array): boolean {
    const at = this.#find(name);
    if (at === NONE) return false;
    this.#unlink(at, this.#nameBuckets, NAME, NEXT_BY_NAME);
    this.#unlink(at, this.#keyBuckets, KEY, NEXT_BY_KEY);
    this.#setWord(at, NEXT_BY_NAME, this.#free);
    this.#free = at;
    this.#size -= 1;
    return true;
  }

  #read(at: number): HeldRevocation {
    const page = this.#page(at);
    const base = this.#base(at);
    const issuedBefore = page[base + ISSUED_BEFORE] ?? 0;
    const version = (BigInt(page[base + VERSION + 1] ?? 0) << 32n) | BigInt(page[base + VERSION] ?? 0);
    const targetKey = bytesOf(page.subarray(base + KEY, base + KEY + KEY_WORDS));
    const issuedBeforeS = issuedBefore === ALWAYS ? undefined : issuedBefore;
    const name = Buffer.from(bytesOf(page.subarray(base + NAME, base + NAME + KEY_WORDS))).toString("hex");
    return { name, version, entry: { targetKey, issuedBeforeS, expireTimeS: page[base + EXPIRE] ?? 0 } };
  }

  /** A free place: one that was given back, else the next. */
  #take(): number {
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.#word(free, NEXT_BY_NAME);
      return free;
    }
    this.#used += 1;
    if (this.#used > this.#pages.length * PAGE_ENTRIES) this.#pages.push(new Uint32Array(PAGE_ENTRIES * ENTRY_WORDS));
    return this.#used;
  }

  #link(at: number): void {
    this.#linkInto(at, this.#nameBuckets, NAME, NEXT_BY_NAME);
    this.#linkInto(at, this.#keyBuckets, KEY, NEXT_BY_KEY);
  }

  #linkInto(at: number, buckets: Uint32Array, words: number, next: number): void {
    const bucket = this.#bucket(this.#page(at), this.#base(at) + words);
    this.#setWord(at, next, buckets[bucket] ?? NONE);
    buckets[bucket] = at;
  }

  #unlink(at: number, buckets: Uint32Array, words: number, next: number): void {
    const bucket = this.#bucket(this.#page(at), this.#base(at) + words);
    const after = this.#word(at, next);
    if (buckets[bucket] === at) {
      buckets[bucket] = after;
      return;
    }
    let before = buckets[bucket] ?? NONE;
    while (this.#word(before, next) !== at) before = this.#word(before, next);
    this.#setWord(before, next, after);
  }

  /** Twice as many buckets: about 50 ms at a million. */
  #rehash(): void {
    const held: number[] = [];
    for (const head of this.#nameBuckets)
      for (let at = head; at !== NONE; at = this.#word(at, NEXT_BY_NAME)) held.push(at);
    const length = this.#keyBuckets.length * 2;
    this.#keyBuckets = new Uint32Array(length);
    this.#nameBuckets = new Uint32Array(length);
    this.#shift = 32 - Math.log2(length);
    for (const at of held) this.#link(at);
  }

  #bucket(words: Uint32Array, from: number): number {
    let sum = 0;
    for (let index = 0; index < KEY_WORDS; index += 1)
      sum = (sum + Math.imul(words[from + index] ?? 0, this.#factors[index] ?? 1)) | 0;
    // The high bits of a product depend on all bits of its factors.
    return Math.imul(sum ^ (sum >>> 16), 0x9e37_79b1) >>> this.#shift;
  }

  #holds(at: number, field: number, words: Uint32Array, from: number): boolean {
    const page = this.#page(at);
    const base = this.#base(at) + field;
    for (let index = 0; index < KEY_WORDS; index += 1) if (page[base + index] !== words[from + index]) return false;
    return true;
  }

  #page(at: number): Uint32Array {
    return this.#pages[Math.floor((at - 1) / PAGE_ENTRIES)] ?? EMPTY;
  }

  #base(at: number): number {
    return ((at - 1) % PAGE_ENTRIES) * ENTRY_WORDS;
  }

  #word(at: number, field: number): number {
    return this.#page(at)[this.#base(at) + field] ?? NONE;
  }

  #setWord(at: number, field: number, value: number): void {
    this.#page(at)[this.#base(at) + field] = value;
  }
}

const EMPTY = new Uint32Array(0);

/** Bytes as words; copied when they lie across word borders. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
}

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.slice().buffer);
