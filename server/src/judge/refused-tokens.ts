import type { KeySet } from "../jwt/key-source.ts";
import type { ErrorCode } from "../model/errors.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { Refusal } from "./refusal.ts";

/** Of a whole process: anybody can send forged tokens, to any number of links. */
const ENTRIES_MAX = 2_000;
const KEPT_LENGTH_MAX = 4096;
/** Short, so that a key which is new at the issuer is looked for again soon. */
const KEPT_MS = 5_000;

/** Verdicts that cost a signature and stay as they are; never those that time or the issuer's return may change. */
const KEPT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(["token_signature_invalid", "token_expired", "token_audience_mismatch", "token_type_mismatch"] as const),
  ...(["token_claim_missing", "token_claim_invalid", "insufficient_scope"] as const),
]);

interface Entry {
  readonly link: JudgedLink;
  readonly refusal: Refusal;
  /** Current sets of the link's issuers; any other set may hold the missing key. */
  readonly keySets: readonly (KeySet | undefined)[];
  /** Monotonic clock. */
  readonly untilMs: number;
}

/**
 * Tokens that were refused a moment ago, by their exact text: a client that sends its expired token again and again costs
 * one signature in five seconds. A changed link is another object, so no verdict outlives its policy.
 */
export class RefusedTokens {
  readonly #byText = new Map<string, Entry>();

  /** @param nowMs monotonic clock */
  get(link: JudgedLink, text: string, nowMs: number): Refusal | undefined {
    const found = this.#byText.get(text);
    if (found === undefined || found.link !== link || nowMs >= found.untilMs) return undefined;
    const { issuers } = link.verifyPolicy;
    return found.keySets.every((set, at) => issuers[at]?.keys.current() === set) ? found.refusal : undefined;
  }

  /** Keeps a refusal that is worth it; what was kept longest makes room. @param nowMs monotonic clock */
  add(link: JudgedLink, text: string, refusal: Refusal, nowMs: number): void {
    if (!KEPT.has(refusal.code) || text.length > KEPT_LENGTH_MAX) return;
    this.#byText.delete(text);
    for (const [oldest, { untilMs }] of this.#byText) {
      if (this.#byText.size < ENTRIES_MAX && nowMs < untilMs) break;
      this.#byText.delete(oldest);
    }
    const keySets = link.verifyPolicy.issuers.map(({ keys }) => keys.current());
    this.#byText.set(text, { link, refusal, keySets, untilMs: nowMs + KEPT_MS });
  }
}
