import type { Clock } from "../clock.ts";
import type { Claims } from "../model/claims.ts";
import type { Issuer } from "../model/issuer.ts";
import { claimInvalid, claimMissing, TokenFault } from "./token-fault.ts";
import type { TrustedIssuer } from "./trust.ts";
import { verifyToken } from "./verify.ts";

/** What a log-out token tells: somebody is signed out, everywhere or of one session. */
export interface LogoutToken {
  /** Undefined only when `session` is there. */
  readonly subject: string | undefined;
  /** `sid`; undefined = all of the subject's. */
  readonly session: string | undefined;
  /** `jti`: no token counts twice. */
  readonly tokenId: string;
}

const EVENT = "http://schemas.openid.net/event/backchannel-logout";
/** `JWT` too: many issuers name no other type, and `events` without `nonce` tells the kinds apart. */
const TYPES = ["logout+jwt", "JWT"] as const;
/** How long a token without `exp` counts, as older drafts have it. */
const WITHOUT_EXP_MS = 120_000;
/** Older ones are refused whatever their `exp`: they tell of a past that a replay would bring back. */
const AGE_MAX_MS = 3_600_000;
const TEXT_MAX_BYTES = 255;

/** Verifies a log-out token (OpenID Connect Back-Channel Logout 1.0, 2.6). Not checked here: whether its `jti` is new. */
export async function verifyLogoutToken(
  text: string,
  { issuer, keys }: TrustedIssuer,
  clock: Clock,
): Promise<LogoutToken | TokenFault> {
  const names = issuer.logoutClientIds ?? [];
  const policy = { issuers: [{ issuer: asSigner(issuer), keys }], audiencesOf: () => ({ names, needsAll: false }) };
  const verified = await verifyToken(text, policy, clock);
  return verified instanceof TokenFault ? verified : readLogoutClaims(verified.claims, clock.now());
}

/** The issuer by the rules for log-out tokens: what it says of its access tokens is not said of these. */
function asSigner({ audienceClaim: _aud, maxLifetimeMs: _max, ...issuer }: Issuer): Issuer {
  // With `nonce` it would be an ID token that somebody sends here (2.4): those are refused.
  return { ...issuer, acceptIdTokens: false, acceptedTypes: TYPES, maxAgeWithoutExpMs: WITHOUT_EXP_MS };
}

function readLogoutClaims({ sub, sid, jti, iat, events }: Claims, nowMs: number): LogoutToken | TokenFault {
  const event = isObject(events) && Object.hasOwn(events, EVENT) ? events[EVENT] : undefined;
  if (!isObject(event)) return claimInvalid("events", "must name the back-channel log-out");
  if (typeof iat !== "number") return claimMissing("iat");
  if (nowMs - iat * 1000 > AGE_MAX_MS) return claimInvalid("iat", "is too long ago");
  if (!isText(jti)) return claimInvalid("jti", "must be a text");
  if (sub === undefined && sid === undefined) return claimMissing("sub");
  if (sub !== undefined && !isText(sub)) return claimInvalid("sub", "must be a text");
  if (sid !== undefined && !isText(sid)) return claimInvalid("sid", "must be a text");
  return { subject: sub, session: sid, tokenId: jti };
}

const isObject = (value: unknown): value is Claims =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && !value.includes("\0") && Buffer.byteLength(value) <= TEXT_MAX_BYTES;
