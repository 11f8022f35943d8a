import { timingSafeEqual } from "node:crypto";

/** What a secret prints as, wherever it ends up by mistake. */
const HIDDEN = "[secret]";

/**
 * A secret string. It prints as `[secret]` in templates, JSON and `util.inspect`, and opens only through `reveal()`,
 * whose callers `test/architecture.test.ts` lists. Compare with `equals`, never with `===`.
 */
export class SecretText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself: only where it is used for its purpose. */
  reveal(): string {
    return this.#text;
  }

  /** Compares in constant time (for equal lengths), so that an answer's timing tells nothing. */
  equals(other: SecretText): boolean {
    const a = Buffer.from(this.#text);
    const b = Buffer.from(other.#text);
    return a.length === b.length && timingSafeEqual(a, b);
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}
