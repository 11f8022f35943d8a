import { createPrivateKey, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import type { Claims } from "../model/claims.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { BuiltInAlgorithm } from "../model/signing-key.ts";

/** Tells assertions from every other JWT (RFC 8725 3.11): neither can stand in for the other. */
const ASSERTION_TYPE = "conduit-assertion+jwt";

/** From `iat` to `exp`, whole seconds. */
export const ASSERTION_LIFETIME_S = 60;

/** How the algorithms of our issuer sign (RFC 7518 3.3, 3.4; RFC 9864 2.2). */
const SIGNERS: Readonly<Record<BuiltInAlgorithm, { readonly keyType: string; readonly digest: string | null }>> = {
  ES256: { keyType: "ec", digest: "sha256" },
  RS256: { keyType: "rsa", digest: "sha256" },
  Ed25519: { keyType: "ed25519", digest: null },
};

/** A key that signs a project's assertions. */
export interface AssertionKey {
  /** The project's issuer. */
  readonly iss: string;
  readonly kid: string;
  readonly algorithm: BuiltInAlgorithm;
  readonly key: KeyObject;
}

/** Makes a key ready. @throws TypeError, without a cause that could quote it, when it is no private key for the algorithm */
export function readAssertionKey(
  { iss, kid, algorithm }: Omit<AssertionKey, "key">,
  privateJwk: SecretText,
): AssertionKey {
  const key = privateKeyOf(privateJwk);
  if (key?.asymmetricKeyType !== SIGNERS[algorithm].keyType)
    throw new TypeError("the key of the assertions is no private key for its algorithm");
  return { iss, kid, algorithm, key };
}

function privateKeyOf(privateJwk: SecretText): KeyObject | undefined {
  try {
    return createPrivateKey({ key: JSON.parse(privateJwk.reveal()) as JsonWebKey, format: "jwk" });
  } catch {
    return undefined;
  }
}

/** What an assertion says besides `iss`, `iat` and `exp`. */
export interface AssertionContent {
  /** Origin of the upstream it is for: it is good for nobody else. */
  readonly audience: string;
  /** Claims of the person; those below win over them. */
  readonly claims: Claims;
  /** `sub`; undefined = nobody is signed in. */
  readonly subject: string | undefined;
  /** `iss` of the person's own token: whose `sub` it is. */
  readonly userIssuer: string | undefined;
  /** Resource name. */
  readonly link: string;
  readonly requestId: string;
}

/**
 * Signs an assertion in compact form (RFC 7515 7.1). At once, by node:crypto and not by jose: a request waits for nothing,
 * and it costs less than half (ES256: 59 against 138 µs of CPU).
 */
export function signAssertion(
  { iss, kid, algorithm, key }: AssertionKey,
  content: AssertionContent,
  nowMs: number,
): string {
  const { audience, subject, userIssuer, link, requestId } = content;
  const iat = Math.floor(nowMs / 1000);
  const payload = {
    ...without(content.claims, "sub", "user_iss"),
    ...{ iss, aud: audience, iat, exp: iat + ASSERTION_LIFETIME_S },
    ...(subject !== undefined && { sub: subject }),
    ...(userIssuer !== undefined && { user_iss: userIssuer }),
    ...{ link, request_id: requestId },
  };
  const input = `${encode({ alg: algorithm, typ: ASSERTION_TYPE, kid })}.${encode(payload)}`;
  const signature = sign(SIGNERS[algorithm].digest, Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

/** Claims without those that we alone write, also where we leave them out; `nbf` and `jti` are about the user's token. */
function without(claims: Claims, ...names: readonly string[]): Claims {
  const own = [...names, "nbf", "jti"];
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !own.includes(name)));
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
