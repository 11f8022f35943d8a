import type { ServedLink } from "../served-link.ts";

/** Compiled links of one half; two halves at most are in memory, some 10 kB each link. */
const HALF_MAX = 10_000;

/**
 * Compiled links by id, those in use: of a large installation most are idle. When a half is full, what was not asked for
 * since the last time goes.
 */
export class ServedCache {
  readonly #halfMax: number;
  #young = new Map<string, ServedLink>();
  #old = new Map<string, ServedLink>();

  constructor(halfMax = HALF_MAX) {
    this.#halfMax = halfMax;
  }

  get(id: string): ServedLink | undefined {
    const young = this.#young.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(id);
    if (old !== undefined) this.set(id, old);
    return old;
  }

  set(id: string, served: ServedLink): void {
    if (this.#young.size >= this.#halfMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, served);
  }

  has(id: string): boolean {
    return this.#young.has(id) || this.#old.has(id);
  }

  delete(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }

  copy(): ServedCache {
    const copy = new ServedCache(this.#halfMax);
    copy.#young = new Map(this.#young);
    copy.#old = new Map(this.#old);
    return copy;
  }
}
