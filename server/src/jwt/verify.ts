import { compactVerify, errors } from "jose";
import type { Clock } from "../clock.ts";
import type { Claims } from "../model/claims.ts";
import type { Issuer, SigningAlgorithm } from "../model/issuer.ts";
import type { KeySet, KeySource } from "./key-source.ts";
import { parseStrictForm, type StrictJws, type StrictToken } from "./strict-form.ts";
import { readValidity, type Validity, validityFault } from "./time-claims.ts";
import { claimInvalid, JWT_ERRORS, TokenFault } from "./token-fault.ts";
import type { TrustedIssuer } from "./trust.ts";

/** A token whose signature, time, audience and kind were verified. */
export interface VerifiedToken {
  /** As sent. */
  readonly text: string;
  readonly kid: string | undefined;
  readonly claims: Claims;
  readonly validity: Validity;
  readonly trusted: TrustedIssuer;
  /** The keys it was verified with; when the issuer's current set is another, the verdict counts no more. */
  readonly keySet: KeySet;
}

/** Audiences, one or all of which must be there. */
export interface WantedAudiences {
  readonly names: readonly string[];
  readonly needsAll: boolean;
}

/** Whom a verifier trusts, and for which audiences. */
export interface VerifyPolicy {
  readonly issuers: readonly TrustedIssuer[];
  /** What a token's audience must hold; undefined = any token of this issuer. */
  readonly audiencesOf: (issuer: Issuer) => WantedAudiences | undefined;
}

/**
 * Verifies a JWT (RFC 7519, RFC 8725): strict form, issuer by `iss`, algorithm pinned by the issuer's configuration,
 * signature by jose, then kind, audience and time. Not checked here: revocation, required claims, scopes.
 */
export async function verifyToken(
  text: string,
  policy: VerifyPolicy,
  clock: Clock,
): Promise<VerifiedToken | TokenFault> {
  const token = parseStrictForm(text);
  if (token instanceof TokenFault) return token;
  const trusted = chooseIssuer(token, policy.issuers);
  if (trusted instanceof TokenFault) return trusted;
  const algorithm = trusted.issuer.algorithms.find((allowed) => allowed === token.algorithm);
  if (algorithm === undefined) return algorithmFault(token.algorithm, trusted.issuer);
  const keySet = await verifySignature(token, algorithm, trusted.keys);
  if (keySet instanceof TokenFault) return keySet;
  const { claims, kid } = token;
  const { issuer } = trusted;
  const kindFault = idTokenFault(claims, issuer) ?? audienceFault(claims, issuer, policy.audiencesOf(issuer));
  if (kindFault !== undefined) return kindFault;
  const validity = readValidity(claims, issuer);
  if (validity instanceof TokenFault) return validity;
  const fault = validityFault(validity, clock.now()) ?? typeFault(token, issuer) ?? subjectFault(claims);
  return fault ?? { text, kid, claims, validity, trusted, keySet };
}

/** By `iss`; among several with that `iss`, the one that knows `kid`; else the one that accepts any `iss`. */
function chooseIssuer(
  { claims, kid, algorithm }: StrictToken,
  all: readonly TrustedIssuer[],
): TrustedIssuer | TokenFault {
  const { iss } = claims;
  if (iss !== undefined && typeof iss !== "string") return claimInvalid("iss", "must be a string");
  const named = iss === undefined || iss === "" ? [] : all.filter(({ issuer }) => issuer.iss === iss);
  const candidates = named.length > 0 ? named : all.filter(({ issuer }) => issuer.iss === "");
  const suited = candidates.filter(({ issuer }) => issuer.algorithms.some((allowed) => allowed === algorithm));
  const knowing = suited.find(
    ({ issuer, keys }) =>
      kid !== undefined &&
      issuer.algorithms.some((it) => it === algorithm && keys.current()?.find(it, kid).length !== 0),
  );
  const chosen = candidates.length === 1 ? candidates[0] : (knowing ?? suited[0] ?? candidates[0]);
  if (chosen !== undefined) return chosen;
  const expected = all.map(({ issuer }) => issuer.iss).join(", ");
  return new TokenFault("token_issuer_unknown", JWT_ERRORS.issuer, { expected, seen: seenText(iss) });
}

/** The token's `alg` decides nothing: `none`, or HS256 with a published key as the secret, ends here (RFC 8725 2.1). */
function algorithmFault(algorithm: string, { algorithms }: Issuer): TokenFault {
  const shown = /^[\w-]{1,20}$/.test(algorithm) ? algorithm : "unknown";
  const texts = { expected: algorithms.join(", "), seen: shown };
  return new TokenFault("token_algorithm_refused", `${JWT_ERRORS.algorithm} ${shown}`, texts);
}

/** The set that verified the signature. A key that is missing or wrong may be a new one: one look for newer keys. */
async function verifySignature(
  token: StrictToken,
  algorithm: SigningAlgorithm,
  source: KeySource,
): Promise<KeySet | TokenFault> {
  const set = source.current() ?? (await source.load());
  if (set === undefined) return new TokenFault("issuer_unreachable", JWT_ERRORS.unreachable);
  const fault = await signatureFault(token, algorithm, set);
  if (fault === undefined) return set;
  const newer = await source.newer(set);
  if (newer === undefined) {
    // The key may be a good new one that nobody can tell us of: no verdict about the token.
    const isKeyUnknown = fault.jwtError === JWT_ERRORS.unknownKey;
    return isKeyUnknown && source.isUnreachable()
      ? new TokenFault("issuer_unreachable", JWT_ERRORS.unreachable)
      : fault;
  }
  return (await signatureFault(token, algorithm, newer)) ?? newer;
}

/** What is wrong with a signature under the keys of one set and a pinned algorithm; undefined = it is good. */
export async function signatureFault(
  { text, kid }: StrictJws,
  algorithm: SigningAlgorithm,
  set: KeySet,
): Promise<TokenFault | undefined> {
  const keys = set.find(algorithm, kid);
  for (const key of keys) {
    try {
      await compactVerify(text, key, { algorithms: [algorithm] });
      return undefined;
    } catch (error) {
      // Anything but a refusal by jose is a fault of ours and must not look like a forged token.
      if (!(error instanceof errors.JOSEError)) throw error;
    }
  }
  const seen = kid === undefined ? "no kid" : `kid ${shorten(kid)}`;
  const jwtError = keys.length === 0 ? JWT_ERRORS.unknownKey : JWT_ERRORS.signature;
  return new TokenFault("token_signature_invalid", jwtError, { expected: `a key for ${algorithm}`, seen });
}

const ID_TOKEN_DETAIL = "This is an ID token; send the access token";

/** OpenID Connect Core 2: an ID token says who logged in, to the app; it is no key to an API. */
function idTokenFault(claims: Claims, issuer: Issuer): TokenFault | undefined {
  const marks = ["nonce", "at_hash", "c_hash"].filter((name) => Object.hasOwn(claims, name));
  if (issuer.acceptIdTokens || (marks.length === 0 && claims.token_use !== "id")) return undefined;
  const seen = marks[0] ?? "token_use id";
  return new TokenFault("token_type_mismatch", JWT_ERRORS.type, { detail: ID_TOKEN_DETAIL, seen });
}

function audienceFault(
  claims: Claims,
  { audienceClaim = "aud" }: Issuer,
  wanted: WantedAudiences | undefined,
): TokenFault | undefined {
  const held = Object.hasOwn(claims, audienceClaim) ? claims[audienceClaim] : undefined;
  const list: readonly unknown[] = Array.isArray(held) ? held : held === undefined ? [] : [held];
  if (list.some((entry) => typeof entry !== "string"))
    return claimInvalid(audienceClaim, "must be a string or a list of strings");
  if (wanted === undefined) return undefined;
  const { names, needsAll } = wanted;
  const isHeld = (name: string): boolean => list.includes(name);
  if (needsAll ? names.every(isHeld) : names.some(isHeld)) return undefined;
  const texts = { expected: names.join(needsAll ? " and " : ", "), seen: seenText(list.join(", ")) };
  return new TokenFault("token_audience_mismatch", JWT_ERRORS.audience, texts);
}

/** Kinds of JWT that may stand as an access token; others (`logout+jwt`, `dpop+jwt`, …) never do (RFC 8725 3.11). */
const ACCESS_TYPES: ReadonlySet<string | undefined> = new Set([undefined, "jwt", "at+jwt"]);
/** Our own issuer signs access tokens with their type (RFC 9068 2.1). */
const BUILT_IN_TYPES: ReadonlySet<string | undefined> = new Set(["at+jwt"]);

function typeFault({ typ }: StrictToken, { keys, acceptedTypes }: Issuer): TokenFault | undefined {
  const usual = keys.kind === "built_in" ? BUILT_IN_TYPES : ACCESS_TYPES;
  const allowed = acceptedTypes === undefined ? usual : new Set(acceptedTypes.map(mediaTypeOf));
  if (allowed.has(mediaTypeOf(typ))) return undefined;
  const expected = [...allowed].filter((type) => type !== undefined).join(", ");
  return new TokenFault("token_type_mismatch", JWT_ERRORS.type, { expected, seen: seenText(typ) });
}

/** RFC 7515 4.1.9: a media type, whose case says nothing and whose `application/` may be left out. */
const mediaTypeOf = (typ: string | undefined): string | undefined => typ?.toLowerCase().replace(/^application\//, "");

const subjectFault = ({ sub }: Claims): TokenFault | undefined =>
  sub === undefined || typeof sub === "string" ? undefined : claimInvalid("sub", "must be a string");

const SEEN_MAX_LENGTH = 200;

const shorten = (text: string): string => (text.length > SEEN_MAX_LENGTH ? `${text.slice(0, SEEN_MAX_LENGTH)}…` : text);

const seenText = (value: string | undefined): string => (value === undefined || value === "" ? "none" : shorten(value));
