import { createPrivateKey, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import type { SecretText } from "../model/secret-text.ts";
import type { BuiltInAlgorithm } from "../model/signing-key.ts";

/** How the algorithms of our issuer sign (RFC 7518 3.3, 3.4; RFC 9864 2.2). */
const SIGNERS: Readonly<Record<BuiltInAlgorithm, { readonly keyType: string; readonly digest: string | null }>> = {
  ES256: { keyType: "ec", digest: "sha256" },
  RS256: { keyType: "rsa", digest: "sha256" },
  Ed25519: { keyType: "ed25519", digest: null },
};

/** A private key for one algorithm. */
export interface CompactSigner {
  readonly kid: string;
  readonly algorithm: BuiltInAlgorithm;
  readonly key: KeyObject;
}

/** Makes a key ready; undefined when the text is no private key for the algorithm. No error, whose cause could quote it. */
export function readSigner(
  kid: string,
  privateJwk: SecretText,
  algorithm: BuiltInAlgorithm,
): CompactSigner | undefined {
  const key = privateKeyOf(privateJwk);
  return key?.asymmetricKeyType === SIGNERS[algorithm].keyType ? { kid, algorithm, key } : undefined;
}

function privateKeyOf(privateJwk: SecretText): KeyObject | undefined {
  try {
    return createPrivateKey({ key: JSON.parse(privateJwk.reveal()) as JsonWebKey, format: "jwk" });
  } catch {
    return undefined;
  }
}

/**
 * A JWT of this `typ` in compact form (RFC 7515 7.1). At once, by node:crypto and not by jose: the call waits for nothing,
 * and it costs less than half (ES256: 59 against 138 µs of CPU).
 */
export function signCompact({ kid, algorithm, key }: CompactSigner, typ: string, payload: object): string {
  const input = `${encode({ alg: algorithm, typ, kid })}.${encode(payload)}`;
  const signature = sign(SIGNERS[algorithm].digest, Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
