import { createPublicKey, type JsonWebKey } from "node:crypto";
import type { SigningAlgorithm } from "../model/issuer.ts";
import type { KeySet, VerificationKey } from "./key-source.ts";

/** Keys of one set that are looked at. */
const KEYS_MAX = 200;
/** Keys tried for one token: a set full of keys without `kid` must not multiply the cost of a forged token. */
const CANDIDATES_MAX = 8;
const RSA_MIN_BITS = 2048;

/** What an algorithm needs: the JWK members that make the public key, and what WebCrypto calls it. */
interface AlgorithmRow {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv?: string;
  readonly members: readonly string[];
  readonly import: { readonly name: string; readonly hash?: string; readonly namedCurve?: string };
  /** Other values of `alg` that mean the same key (RFC 9864: Ed25519 is what EdDSA was). */
  readonly alias?: SigningAlgorithm;
}

const ED25519 = { kty: "OKP", crv: "Ed25519", members: ["kty", "crv", "x"], import: { name: "Ed25519" } } as const;
const rsa = (name: string): AlgorithmRow => ({
  kty: "RSA",
  members: ["kty", "n", "e"],
  import: { name, hash: "SHA-256" },
});

/** Public-key algorithms; HS256 is not among them, so no published key can ever verify a MAC (RFC 8725 2.1). */
const ROWS: Partial<Record<SigningAlgorithm, AlgorithmRow>> = {
  RS256: rsa("RSASSA-PKCS1-v1_5"),
  PS256: rsa("RSA-PSS"),
  ES256: { kty: "EC", crv: "P-256", members: ["kty", "crv", "x", "y"], import: { name: "ECDSA", namedCurve: "P-256" } },
  EdDSA: { ...ED25519, alias: "Ed25519" },
  Ed25519: { ...ED25519, alias: "EdDSA" },
};

interface SetKey {
  readonly kid: string | undefined;
  readonly byAlgorithm: ReadonlyMap<string, VerificationKey>;
}

/**
 * Reads a JWK set (RFC 7517 5); undefined when the text is none. Keys of other kinds, for other uses, too short or broken
 * are left out; private and secret members are never read. Keys beyond the 200th are not looked at.
 */
export function parseKeySet(text: string): KeySet | undefined {
  const document = parseObject(text);
  if (document === undefined || !Array.isArray(document.keys)) return undefined;
  const keys = document.keys
    .slice(0, KEYS_MAX)
    .map(importKey)
    .filter((key) => key !== undefined);
  return {
    kids: keys.map(({ kid }) => kid).filter((kid) => kid !== undefined),
    find: (algorithm, kid) => {
      const found: VerificationKey[] = [];
      for (const key of keys) {
        // A token that names its key is verified with that one only; one that names none, with any of its algorithm.
        if (kid !== undefined && key.kid !== kid) continue;
        const usable = key.byAlgorithm.get(algorithm);
        if (usable !== undefined && found.push(usable) === CANDIDATES_MAX) break;
      }
      return found;
    },
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function importKey(value: unknown): SetKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const jwk = value as Readonly<Record<string, unknown>>;
  const isForSigning = jwk.use === undefined || jwk.use === "sig";
  const isForVerifying = jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify"));
  if (!isForSigning || !isForVerifying || !(jwk.kid === undefined || typeof jwk.kid === "string")) return undefined;
  const byAlgorithm = new Map<string, VerificationKey>();
  for (const [algorithm, row] of Object.entries(ROWS)) {
    if (jwk.kty !== row.kty || (row.crv !== undefined && jwk.crv !== row.crv)) continue;
    if (jwk.alg !== undefined && jwk.alg !== algorithm && jwk.alg !== row.alias) continue;
    const key = importFor(row, jwk);
    if (key !== undefined) byAlgorithm.set(algorithm, key);
  }
  return byAlgorithm.size === 0 ? undefined : { kid: jwk.kid, byAlgorithm };
}

function importFor(row: AlgorithmRow, jwk: Readonly<Record<string, unknown>>): VerificationKey | undefined {
  const members = row.members.map((name) => [name, jwk[name]] as const);
  if (members.some(([, value]) => typeof value !== "string")) return undefined;
  try {
    const key = createPublicKey({ key: Object.fromEntries(members) as JsonWebKey, format: "jwk" });
    if (row.kty === "RSA" && (key.asymmetricKeyDetails?.modulusLength ?? 0) < RSA_MIN_BITS) return undefined;
    return key.toCryptoKey(row.import, true, ["verify"]);
  } catch {
    return undefined;
  }
}
