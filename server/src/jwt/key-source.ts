import type { webcrypto } from "node:crypto";
import type { SigningAlgorithm } from "../model/issuer.ts";

/** A key ready for one algorithm: it was imported for that and can do nothing else. */
export type VerificationKey = webcrypto.CryptoKey;

/** Keys as they are at one moment. Another set is another object: that is how caches notice a change. */
export interface KeySet {
  /** Every `kid` in the set, for status. */
  readonly kids: readonly string[];
  /** Keys a token with this algorithm and `kid` may be signed with, best first; at most 8. */
  find(algorithm: SigningAlgorithm, kid: string | undefined): readonly VerificationKey[];
}

/** Where an issuer's keys come from. */
export interface KeySource {
  /** The set at hand; undefined = it has to be waited for. */
  current(): KeySet | undefined;
  /** Waits for a set; undefined = there is none now (issuer unreachable). */
  load(): Promise<KeySet | undefined>;
  /** After a key was not found or a signature failed: a newer set than `than`, if the source's budget allows to look. */
  newer(than: KeySet): Promise<KeySet | undefined>;
  /** Whether the last attempt to fetch failed: a key that is not at hand may be a good one then. */
  isUnreachable(): boolean;
}
