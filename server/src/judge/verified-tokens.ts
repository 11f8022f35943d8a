import type { VerifiedToken } from "../jwt/verify.ts";
import type { User } from "./user.ts";

const ENTRIES_MAX = 10_000;
/** Longer tokens are verified each time: together with `ENTRIES_MAX` this bounds the memory of a link. */
const CACHED_LENGTH_MAX = 4096;

/** A token that was verified, and the person it speaks of. */
interface Entry {
  readonly token: VerifiedToken;
  readonly user: User;
}

/**
 * Tokens of one compiled link that were verified, by their exact text, which the strict form makes their only spelling.
 * A changed link, issuer or secret is compiled anew and begins with an empty one. A hit counts only while the token is
 * valid by the clock and its issuer's current keys are still the ones that verified it.
 */
export class VerifiedTokens {
  /** Made with the first token: most links of a large installation are idle. */
  #byText: Map<string, Entry> | undefined;

  /** Whom the token with this text speaks of, if its verdict still holds. */
  get(text: string, nowMs: number): User | undefined {
    const found = this.#byText?.get(text);
    if (found === undefined) return undefined;
    const { validity, trusted, keySet } = found.token;
    const holds = nowMs >= validity.fromMs && nowMs < validity.untilMs && trusted.keys.current() === keySet;
    if (!holds) this.#byText?.delete(text);
    return holds ? found.user : undefined;
  }

  /** Keeps a token; the one kept longest makes room. */
  add(token: VerifiedToken, user: User): void {
    if (token.text.length > CACHED_LENGTH_MAX) return;
    this.#byText ??= new Map();
    if (this.#byText.size >= ENTRIES_MAX) {
      for (const oldest of this.#byText.keys()) {
        this.#byText.delete(oldest);
        break;
      }
    }
    this.#byText.set(token.text, { token, user });
  }
}
