import { REVOCATION_KEY_BYTES } from "../model/revocation.ts";
import {
  ALWAYS,
  ENTRY_WORDS,
  EXPIRE,
  grown,
  type HeldRevocation,
  ISSUED_BEFORE,
  KEY,
  KEY_WORDS,
  NAME,
  NEXT_BY_KEY,
  NEXT_BY_NAME,
  NONE,
  ownBuckets,
  RevocationReader,
  type SharedRevocations,
  sharedRevocations,
  VERSION,
  viewOf,
  wordsOf,
} from "./revocation-table.ts";

const NAME_FORM = /^[0-9a-f]{32}$/;

/** Whether the index can hold it without loss: times of this century and a name of the config stream. */
export const isHoldable = ({ name, entry }: HeldRevocation): boolean =>
  isRevocationName(name) && isTime(entry.expireTimeS) && isTime(entry.issuedBeforeS ?? 0);

const isRevocationName = (name: string): boolean => NAME_FORM.test(name);
const isTime = (seconds: number): boolean => seconds >= 0 && seconds < ALWAYS;

/**
 * The writer's side of the table: 56 bytes an entry and 16 bytes of buckets, in shared memory, so that a million revocations
 * cost the garbage collector nothing and every thread reads the same ones. It grows entry by entry (linear hashing): no
 * moment at which everything is moved. Several revocations of one target stand side by side under their names.
 */
export class RevocationIndex extends RevocationReader {
  readonly #nameMemory = ownBuckets();
  #nameHeads = viewOf(this.#nameMemory);
  #used = 0;
  #free = NONE;

  /** @param seed 16 random bytes of this process: who does not know them cannot fill one bucket on purpose */
  constructor(seed: Uint8Array = new Uint8Array(REVOCATION_KEY_BYTES)) {
    super(sharedRevocations(wordsOf(seed).map((word) => word | 1)));
  }

  /** For `RevocationReader` in other threads. */
  get memory(): SharedRevocations {
    return this.shared;
  }

  /** An empty table that spreads as this one does. */
  emptyTwin(): RevocationIndex {
    return new RevocationIndex(new Uint8Array(this.shared.factors.slice().buffer));
  }

  /** Adds or replaces a revocation under its name. Only what `isHoldable`. */
  set(held: HeldRevocation): void {
    const name = wordsOf(Buffer.from(held.name, "hex"));
    const before = this.#find(name);
    this.change(before === NONE ? 1 : 0, () => {
      if (before !== NONE) this.#remove(before);
      this.#add(name, held);
    });
  }

  get(name: string): HeldRevocation | undefined {
    const at = this.#numberOf(name);
    return at === NONE ? undefined : this.#read(at);
  }

  /** Whether there was one. */
  delete(name: string): boolean {
    const at = this.#numberOf(name);
    if (at === NONE) return false;
    this.change(-1, () => this.#remove(at));
    return true;
  }

  /** All of them, in no order. Goes on when there are changes meanwhile: what is held throughout comes once. */
  *entries(): Iterable<HeldRevocation> {
    for (let at = 1; at <= this.#used; at += 1) if (this.word(at, EXPIRE) !== ALWAYS) yield this.#read(at);
  }

  #numberOf(name: string): number {
    return this.size > 0 && isRevocationName(name) ? this.#find(wordsOf(Buffer.from(name, "hex"))) : NONE;
  }

  #find(name: Uint32Array): number {
    let at = this.#nameHeads[this.bucketOf(this.hashOf(name, 0))] ?? NONE;
    while (at !== NONE && !this.holds(at, NAME, name, 0)) at = this.word(at, NEXT_BY_NAME);
    return at;
  }

  #add(name: Uint32Array, { version, entry }: HeldRevocation): void {
    const at = this.#take();
    const base = (at - 1) * ENTRY_WORDS;
    const words = this.entryWords;
    words.set(name, base + NAME);
    words.set(wordsOf(entry.targetKey), base + KEY);
    words[base + ISSUED_BEFORE] = entry.issuedBeforeS ?? ALWAYS;
    words[base + EXPIRE] = entry.expireTimeS;
    words[base + VERSION] = Number(version & 0xffff_ffffn);
    words[base + VERSION + 1] = Number(version >> 32n);
    this.#link(at, this.#nameHeads, NAME, NEXT_BY_NAME);
    this.#link(at, this.keyHeads, KEY, NEXT_BY_KEY);
    // Half full at most: a look-up that finds nothing, as nearly all do, then mostly ends at an empty bucket.
    if (2 * this.#used > this.buckets) this.#split();
    if (2 * this.#used > this.buckets) this.#split();
  }

  #remove(at: number): void {
    this.#unlink(at, this.#nameHeads, NAME, NEXT_BY_NAME);
    this.#unlink(at, this.keyHeads, KEY, NEXT_BY_KEY);
    this.#setWord(at, EXPIRE, ALWAYS);
    this.#setWord(at, NEXT_BY_NAME, this.#free);
    this.#free = at;
  }

  #read(at: number): HeldRevocation {
    const issuedBefore = this.word(at, ISSUED_BEFORE);
    return {
      name: Buffer.from(this.#bytes(at, NAME)).toString("hex"),
      version: (BigInt(this.word(at, VERSION + 1)) << 32n) | BigInt(this.word(at, VERSION)),
      entry: {
        targetKey: this.#bytes(at, KEY),
        issuedBeforeS: issuedBefore === ALWAYS ? undefined : issuedBefore,
        expireTimeS: this.word(at, EXPIRE),
      },
    };
  }

  #bytes(at: number, field: number): Uint8Array {
    const base = (at - 1) * ENTRY_WORDS + field;
    const bytes = new Uint8Array(REVOCATION_KEY_BYTES);
    new Uint32Array(bytes.buffer).set(this.entryWords.subarray(base, base + KEY_WORDS));
    return bytes;
  }

  /** A free place: one that was given back, else the next. */
  #take(): number {
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.word(free, NEXT_BY_NAME);
      return free;
    }
    this.#used += 1;
    this.entryWords = grown(this.shared.entries, this.entryWords, this.#used * ENTRY_WORDS, ENTRY_WORDS);
    return this.#used;
  }

  /** One bucket more, and one divided over it and itself. */
  #split(): void {
    const added = this.buckets;
    const divided = added - (1 << (31 - Math.clz32(added)));
    this.keyHeads = grown(this.shared.keyBuckets, this.keyHeads, added + 1, 2);
    this.#nameHeads = grown(this.#nameMemory, this.#nameHeads, added + 1, 2);
    this.buckets = added + 1;
    this.#divide(divided, this.keyHeads, KEY, NEXT_BY_KEY);
    this.#divide(divided, this.#nameHeads, NAME, NEXT_BY_NAME);
  }

  #divide(bucket: number, heads: Uint32Array, field: number, next: number): void {
    let at = heads[bucket] ?? NONE;
    heads[bucket] = NONE;
    while (at !== NONE) {
      const after = this.word(at, next);
      this.#link(at, heads, field, next);
      at = after;
    }
  }

  #link(at: number, heads: Uint32Array, field: number, next: number): void {
    const bucket = this.bucketOf(this.hashOf(this.entryWords, (at - 1) * ENTRY_WORDS + field));
    this.#setWord(at, next, heads[bucket] ?? NONE);
    heads[bucket] = at;
  }

  #unlink(at: number, heads: Uint32Array, field: number, next: number): void {
    const bucket = this.bucketOf(this.hashOf(this.entryWords, (at - 1) * ENTRY_WORDS + field));
    const after = this.word(at, next);
    if (heads[bucket] === at) {
      heads[bucket] = after;
      return;
    }
    let before = heads[bucket] ?? NONE;
    while (this.word(before, next) !== at) before = this.word(before, next);
    this.#setWord(before, next, after);
  }

  #setWord(at: number, field: number, value: number): void {
    this.entryWords[(at - 1) * ENTRY_WORDS + field] = value;
  }
}
