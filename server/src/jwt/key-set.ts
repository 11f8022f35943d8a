import { type Jwk, type PublicKey, readPublicKey } from "./key-algorithms.ts";
import type { KeySet, VerificationKey } from "./key-source.ts";

/** Keys of one set that are looked at. */
export const KEYS_MAX = 200;
/** Keys tried for one token: a set full of keys without `kid` must not multiply the cost of a forged token. */
const CANDIDATES_MAX = 8;

/** One key of a set. */
export interface SetKey {
  /** Undefined = it has none. */
  readonly kid: string | undefined;
  readonly key: PublicKey;
}

/**
 * Reads a JWK set (RFC 7517 5); undefined when the text is none. Keys of other kinds, for other uses, too short or broken
 * are left out; private and secret members are never read. Keys beyond the 200th are not looked at.
 */
export function parseKeySet(text: string): KeySet | undefined {
  const document = parseJsonObject(text);
  if (document === undefined || !Array.isArray(document.keys)) return undefined;
  return keySetOf(document.keys.slice(0, KEYS_MAX).flatMap((jwk) => readSetKey(jwk) ?? []));
}

/**
 * Makes a set of its keys.
 * @param kidsCount false: keys without `kid` verify tokens with any (PEM has no place for one)
 */
export function keySetOf(keys: readonly SetKey[], kidsCount = true): KeySet {
  return {
    kids: keys.map(({ kid }) => kid).filter((kid) => kid !== undefined),
    find: (algorithm, kid) => {
      const found: VerificationKey[] = [];
      for (const { kid: own, key } of keys) {
        // A token that names its key is verified with that one only; one that names none, with any of its algorithm.
        if (kidsCount && kid !== undefined && own !== kid) continue;
        const usable = key.for(algorithm);
        if (usable !== undefined && found.push(usable) === CANDIDATES_MAX) break;
      }
      return found;
    },
  };
}

export function parseJsonObject(text: string): Jwk | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Jwk) : undefined;
  } catch {
    return undefined;
  }
}

/** A member of a JWK set; undefined when it is no key for verifying signatures (`use`, `key_ops`: RFC 7517 4.2, 4.3). */
export function readSetKey(value: unknown): SetKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const jwk = value as Jwk;
  const isForSigning = jwk.use === undefined || jwk.use === "sig";
  const isForVerifying = jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify"));
  if (!isForSigning || !isForVerifying || !(jwk.kid === undefined || typeof jwk.kid === "string")) return undefined;
  const key = readPublicKey(jwk);
  return key === undefined ? undefined : { kid: jwk.kid, key };
}
