import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import type { SigningAlgorithm } from "../model/issuer.ts";
import type { VerificationKey } from "./key-source.ts";

/** Shorter RSA keys are broken or soon will be (RFC 7518 3.3); longer ones let a key set's host burn our CPU. */
const RSA_BITS = { min: 2048, max: 8192 } as const;

/** What an algorithm needs of a key, and what WebCrypto calls it. */
interface AlgorithmRow {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv?: string;
  readonly import: { readonly name: string; readonly hash?: string; readonly namedCurve?: string };
  /** Other values of `alg` that mean the same key (RFC 9864: Ed25519 is what EdDSA was). */
  readonly alias?: SigningAlgorithm;
}

const rsa = (name: "RSASSA-PKCS1-v1_5" | "RSA-PSS", hash: string): AlgorithmRow => ({
  kty: "RSA",
  import: { name, hash },
});
/** RFC 7518 3.4: each has its own curve. */
const ec = (crv: string): AlgorithmRow => ({ kty: "EC", crv, import: { name: "ECDSA", namedCurve: crv } });
const ed25519 = (alias: SigningAlgorithm): AlgorithmRow => ({
  kty: "OKP",
  crv: "Ed25519",
  import: { name: "Ed25519" },
  alias,
});

/** Public-key algorithms; no HMAC is among them, so no published key can ever verify a MAC (RFC 8725 2.1). */
const ROWS: Partial<Record<SigningAlgorithm, AlgorithmRow>> = {
  RS256: rsa("RSASSA-PKCS1-v1_5", "SHA-256"),
  RS384: rsa("RSASSA-PKCS1-v1_5", "SHA-384"),
  RS512: rsa("RSASSA-PKCS1-v1_5", "SHA-512"),
  PS256: rsa("RSA-PSS", "SHA-256"),
  PS384: rsa("RSA-PSS", "SHA-384"),
  PS512: rsa("RSA-PSS", "SHA-512"),
  ES256: ec("P-256"),
  ES384: ec("P-384"),
  ES512: ec("P-521"),
  EdDSA: ed25519("Ed25519"),
  Ed25519: ed25519("EdDSA"),
};

/** Members of a JWK that make the public key; no other, and no private one, is ever read. */
const PUBLIC_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ["kty", "n", "e"],
  EC: ["kty", "crv", "x", "y"],
  OKP: ["kty", "crv", "x"],
};

export type Jwk = Readonly<Record<string, unknown>>;

/** A public key that some algorithms can use. */
export interface PublicKey {
  /** Ready for one algorithm; undefined = the key is not for it. Imported when first asked for. */
  for(algorithm: SigningAlgorithm): VerificationKey | undefined;
  readonly algorithms: readonly SigningAlgorithm[];
}

/** Reads the public half of a JWK (RFC 7517, 7518 6, 8037 2); undefined when no algorithm of ours can use it. */
export function readPublicKey(jwk: Jwk): PublicKey | undefined {
  const rows = Object.entries(ROWS).filter(([name, row]) => fits(jwk, name, row)) as [SigningAlgorithm, AlgorithmRow][];
  const key = rows.length === 0 ? undefined : keyObjectOf(jwk);
  if (key === undefined) return undefined;
  const imported = new Map<SigningAlgorithm, VerificationKey>();
  return {
    algorithms: rows.map(([name]) => name),
    for(algorithm) {
      const known = imported.get(algorithm);
      if (known !== undefined) return known;
      const row = rows.find(([name]) => name === algorithm)?.[1];
      if (row === undefined) return undefined;
      const made = key.toCryptoKey(row.import, true, ["verify"]);
      imported.set(algorithm, made);
      return made;
    },
  };
}

/** `alg` of the key, where it has one, narrows its use to that algorithm (RFC 7517 4.4). */
function fits(jwk: Jwk, name: string, row: AlgorithmRow): boolean {
  if (jwk.kty !== row.kty || (row.crv !== undefined && jwk.crv !== row.crv)) return false;
  return jwk.alg === undefined || jwk.alg === name || jwk.alg === row.alias;
}

function keyObjectOf(jwk: Jwk): KeyObject | undefined {
  const members = (PUBLIC_MEMBERS[String(jwk.kty)] ?? []).map((name) => [name, jwk[name]] as const);
  if (members.length === 0 || members.some(([, value]) => typeof value !== "string")) return undefined;
  try {
    // OpenSSL refuses points that are not on their curve.
    const key = createPublicKey({ key: Object.fromEntries(members) as JsonWebKey, format: "jwk" });
    return jwk.kty !== "RSA" || isSoundRsa(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

/** An exponent of 1 makes every message its own signature. */
function isSoundRsa({ asymmetricKeyDetails }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {};
  const isOdd = publicExponent % 2n === 1n;
  return modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max && publicExponent >= 3n && isOdd;
}
