import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { SecretText } from "../model/secret-text.ts";
import { BUILT_IN_ALGORITHMS, type BuiltInAlgorithm } from "../model/signing-key.ts";
import { type CompactSigner, readSigner } from "./compact-sign.ts";
import { type Jwk, readPublicKey } from "./key-algorithms.ts";

/** A signing key in the form it is stored: the private half is for sealing. */
export interface StoredSigningKey {
  /** RFC 7638 thumbprint: nobody can choose it, and two keys never share one. */
  readonly kid: string;
  readonly algorithm: BuiltInAlgorithm;
  /** Public JWK as JSON text, with `kid`, `alg` and `use`. */
  readonly publicJwk: string;
  /** Private JWK as JSON text. */
  readonly privateJwk: SecretText;
}

/** Generates a key pair; of RSA with 2048 bits. */
export async function generateSigningKey(algorithm: BuiltInAlgorithm = "ES256"): Promise<StoredSigningKey> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return storedKey(await exportJWK(privateKey), algorithm);
}

/** RSA beyond it is slow to sign with for everyone; below 2048 bits `readPublicKey` refuses it. */
const RSA_BITS_MAX = 4096;

/**
 * Reads a private key to import: PKCS#8 in PEM, or a JWK. Undefined when it is neither, has no private half, or none of
 * our algorithms can use it; says no more, since the text is a secret.
 */
export async function readPrivateKey(text: SecretText): Promise<StoredSigningKey | undefined> {
  const key = privateKeyOf(text);
  if (key === undefined || (key.asymmetricKeyDetails?.modulusLength ?? 0) > RSA_BITS_MAX) return undefined;
  const fitting = readPublicKey(createPublicKey(key).export({ format: "jwk" }) as Jwk)?.algorithms ?? [];
  const algorithm = BUILT_IN_ALGORITHMS.find((one) => fitting.includes(one));
  return algorithm === undefined ? undefined : storedKey(key.export({ format: "jwk" }) as JWK, algorithm);
}

function privateKeyOf(text: SecretText): KeyObject | undefined {
  const source = text.reveal().trim();
  try {
    if (!source.startsWith("{")) return createPrivateKey({ key: source, format: "pem" });
    return createPrivateKey({ key: JSON.parse(source) as JsonWebKey, format: "jwk" });
  } catch {
    // The cause may quote the key.
    return undefined;
  }
}

/** Members of the public half, by key type: whatever else a JWK holds is private or of no use. */
const PUBLIC_MEMBERS = ["kty", "crv", "x", "y", "n", "e"] as const;

async function storedKey(jwk: JWK, algorithm: BuiltInAlgorithm): Promise<StoredSigningKey> {
  const publicJwk: JWK = Object.fromEntries(PUBLIC_MEMBERS.flatMap((name) => (name in jwk ? [[name, jwk[name]]] : [])));
  const kid = await calculateJwkThumbprint(publicJwk, "sha256");
  return {
    kid,
    algorithm,
    publicJwk: JSON.stringify({ ...publicJwk, kid, alg: algorithm, use: "sig" }),
    privateJwk: new SecretText(JSON.stringify(jwk)),
  };
}

/** Makes a stored key ready to sign. @throws TypeError when the text is no private key for the algorithm */
export function importSigningKey(
  kid: string,
  privateJwk: SecretText,
  algorithm: BuiltInAlgorithm = "ES256",
): CompactSigner {
  const signer = readSigner(kid, privateJwk, algorithm);
  if (signer === undefined) throw new TypeError("not a private key for the algorithm");
  return signer;
}

/** A JWK set (RFC 7517 5) of stored public keys. */
export const jwksText = (publicJwks: readonly string[]): string => `{"keys":[${publicJwks.join(",")}]}`;
