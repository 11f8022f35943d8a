import type { VerifiedToken } from "../jwt/verify.ts";

const ENTRIES_MAX = 10_000;
/** Longer tokens are verified each time: together with `ENTRIES_MAX` this bounds the memory of a link. */
const CACHED_LENGTH_MAX = 4096;

/**
 * Tokens of one compiled link that were verified, by their exact text, which the strict form makes their only spelling.
 * A changed link, issuer or secret is compiled anew and begins with an empty one. A hit counts only while the token is
 * valid by the clock and its issuer's current keys are still the ones that verified it.
 */
export class VerifiedTokens {
  /** Made with the first token: most links of a large installation are idle. */
  #byText: Map<string, VerifiedToken> | undefined;

  /** The verified token with this text, if its verdict still holds. */
  get(text: string, nowMs: number): VerifiedToken | undefined {
    const found = this.#byText?.get(text);
    if (found === undefined) return undefined;
    const { validity, trusted, keySet } = found;
    const holds = nowMs >= validity.fromMs && nowMs < validity.untilMs && trusted.keys.current() === keySet;
    if (!holds) this.#byText?.delete(text);
    return holds ? found : undefined;
  }

  /** Keeps a token; the one kept longest makes room. */
  add(token: VerifiedToken): void {
    if (token.text.length > CACHED_LENGTH_MAX) return;
    this.#byText ??= new Map();
    if (this.#byText.size >= ENTRIES_MAX) {
      for (const oldest of this.#byText.keys()) {
        this.#byText.delete(oldest);
        break;
      }
    }
    this.#byText.set(token.text, token);
  }
}
