import { type AssertionKeys, assertionKeys, fixedKeys, type JsonWebKeySet } from "./assertion-keys.ts";
import { readCompact } from "./compact.ts";

/** Whose assertions count. */
export interface VerifyAssertionOptions {
  /** The project's issuer, `<public-url>/p/<project>`: `iss` must be exactly this. */
  readonly issuer: string;
  /** This service's own origin as the link's base URL has it, `https://api.example`: `aud` must be, or hold, this. */
  readonly audience: string;
  /** Result of `assertionKeys`, made once, or a key set at hand. Default: fetched from the issuer with each call. */
  readonly keys?: AssertionKeys | JsonWebKeySet;
  /** `link` must be this, or one of these: `projects/demo/links/orders`. Default: any link of the project that leads here. */
  readonly link?: string | readonly string[];
  /** Accept requests of nobody in particular, from links that let them pass. Default: `sub` is required. */
  readonly allowAnonymous?: boolean;
  /** Seconds past `exp` an assertion still counts, and before `iat`. Default 5. */
  readonly leewaySeconds?: number;
  /** Milliseconds since 1970; default the wall clock. For tests. */
  readonly now?: () => number;
}

/** What a proxy asserts of a request. */
export interface AssertionClaims {
  readonly iss: string;
  readonly aud: string | readonly string[];
  readonly iat: number;
  readonly exp: number;
  /** Who calls; absent only with `allowAnonymous`. */
  readonly sub?: string;
  /** `iss` of the user's own token: whose `sub` it is. */
  readonly user_iss?: string;
  /** Resource name of the link. */
  readonly link: string;
  /** Of the request it was made for; the same assertion is sent for 45 s with the same user token. `X-Request-ID` names each request. */
  readonly request_id: string;
  /** Claims the link maps to headers. */
  readonly [claim: string]: unknown;
}

/** Why an assertion was refused. The texts hold nothing of it. */
export class IdentityAssertionError extends Error {
  override readonly name = "IdentityAssertionError";
}

/**
 * Verifies the value of `X-Conduit-Assertion` and answers what it says; throws {@link IdentityAssertionError} otherwise, and what `fetch`
 * throws when the keys cannot be had.
 *
 * Checked: strict compact form of at most 16 KiB, `typ` `conduit-assertion+jwt`, no `crit`, `kid` and `alg` of a key of the issuer (ES256,
 * RS256, Ed25519), the signature, `iss`, `aud`, `exp`, `iat`, `sub`, `link`. Not checked: whether it was seen before.
 */
export async function verifyAssertion(
  assertion: string | readonly string[] | null | undefined,
  options: VerifyAssertionOptions,
): Promise<AssertionClaims> {
  if (assertion === null || assertion === undefined) throw new IdentityAssertionError("Missing assertion");
  const compact = readCompact(assertion);
  if (compact === undefined) throw new IdentityAssertionError("Malformed assertion");
  const { header, payload, signingInput, signature } = compact;
  // The same keys are published as those of users' tokens: a token must not pass as an assertion.
  if (header.typ !== "conduit-assertion+jwt") throw new IdentityAssertionError("Wrong assertion type");
  if (header.crit !== undefined) throw new IdentityAssertionError("Malformed assertion");
  const key = await keysOf(options).find(String(header.kid), String(header.alg));
  if (key === undefined) throw new IdentityAssertionError("Unknown key");
  if (!(await key.verify(signingInput, signature))) throw new IdentityAssertionError("Invalid signature");
  checkClaims(payload, options);
  return payload as AssertionClaims;
}

function keysOf({ keys, issuer }: VerifyAssertionOptions): AssertionKeys {
  if (keys === undefined) return assertionKeys({ issuer });
  return "find" in keys ? keys : fixedKeys(keys);
}

function checkClaims(claims: Record<string, unknown>, options: VerifyAssertionOptions): void {
  const { issuer, audience, link, allowAnonymous = false, leewaySeconds = 5, now = Date.now } = options;
  const nowSeconds = now() / 1000;
  const refuseUnless = (isGood: boolean, message: string): void => {
    if (!isGood) throw new IdentityAssertionError(message);
  };
  refuseUnless(claims.iss === issuer, "Invalid issuer");
  refuseUnless([claims.aud].flat().includes(audience), "Invalid audience");
  refuseUnless(seconds(claims.exp) + leewaySeconds > nowSeconds, "Assertion expired");
  refuseUnless(seconds(claims.iat) <= nowSeconds + leewaySeconds, "Assertion not yet valid");
  refuseUnless(typeof claims.link === "string", "Invalid claim: link");
  refuseUnless(link === undefined || [link].flat().includes(claims.link as string), "Invalid link");
  const isAnonymous = claims.sub === undefined && allowAnonymous;
  refuseUnless(isAnonymous || (typeof claims.sub === "string" && claims.sub !== ""), "Invalid claim: sub");
}

/** `NaN` for what is no time: no comparison holds for it. */
const seconds = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);
