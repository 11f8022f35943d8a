import type { Claims } from "../model/claims.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { BuiltInAlgorithm } from "../model/signing-key.ts";
import { type CompactSigner, readSigner, signCompact } from "./compact-sign.ts";

/** Tells assertions from every other JWT (RFC 8725 3.11): neither can stand in for the other. */
const ASSERTION_TYPE = "conduit-assertion+jwt";

/** From `iat` to `exp`, whole seconds. */
export const ASSERTION_LIFETIME_S = 60;

/** A key that signs a project's assertions. */
export interface AssertionKey extends CompactSigner {
  /** The project's issuer. */
  readonly iss: string;
}

/** Makes a key ready. @throws TypeError, without a cause that could quote it, when it is no private key for the algorithm */
export function readAssertionKey(
  { iss, kid, algorithm }: { readonly iss: string; readonly kid: string; readonly algorithm: BuiltInAlgorithm },
  privateJwk: SecretText,
): AssertionKey {
  const signer = readSigner(kid, privateJwk, algorithm);
  if (signer === undefined) throw new TypeError("the key of the assertions is no private key for its algorithm");
  return { ...signer, iss };
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

/** Signs an assertion. */
export function signAssertion(key: AssertionKey, content: AssertionContent, nowMs: number): string {
  const { audience, subject, userIssuer, link, requestId } = content;
  const iat = Math.floor(nowMs / 1000);
  const payload = {
    ...without(content.claims, "sub", "user_iss"),
    ...{ iss: key.iss, aud: audience, iat, exp: iat + ASSERTION_LIFETIME_S },
    ...(subject !== undefined && { sub: subject }),
    ...(userIssuer !== undefined && { user_iss: userIssuer }),
    ...{ link, request_id: requestId },
  };
  return signCompact(key, ASSERTION_TYPE, payload);
}

/** Claims without those that we alone write, also where we leave them out; `nbf` and `jti` are about the user's token. */
function without(claims: Claims, ...names: readonly string[]): Claims {
  const own = [...names, "nbf", "jti"];
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !own.includes(name)));
}
