import type { Claims } from "../model/claims.ts";
import type { Issuer } from "../model/issuer.ts";
import { claimInvalid, claimMissing, JWT_ERRORS, TokenFault } from "./token-fault.ts";

/** When a token is valid, leeways included: from `fromMs` on, before `untilMs`. Milliseconds since the epoch. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Reads `exp`, `nbf` and `iat` (RFC 7519 4.1.4-4.1.6): finite numbers of seconds, fractions count. `exp` must be there
 * unless the issuer accepts tokens a maximum age after `iat`.
 */
export function readValidity(claims: Claims, issuer: Issuer): Validity | TokenFault {
  const { exp, nbf, iat } = claims;
  for (const [name, value] of [
    ["exp", exp],
    ["nbf", nbf],
    ["iat", iat],
  ] as const) {
    // `1e999` reads as Infinity: a token that never expires.
    if (value !== undefined && !Number.isFinite(value)) return claimInvalid(name, "must be a finite number");
  }
  const endMs = endOf(exp as number | undefined, iat as number | undefined, issuer);
  if (endMs instanceof TokenFault) return endMs;
  const begin = Math.max((nbf as number | undefined) ?? 0, (iat as number | undefined) ?? 0);
  return { fromMs: begin * 1000 - issuer.clockLeewayMs, untilMs: endMs + issuer.expLeewayMs };
}

function endOf(exp: number | undefined, iat: number | undefined, issuer: Issuer): number | TokenFault {
  if (exp !== undefined) return lifetimeFault(exp, iat, issuer) ?? exp * 1000;
  if (issuer.maxAgeWithoutExpMs === undefined) return claimMissing("exp");
  return iat === undefined ? claimMissing("iat") : iat * 1000 + issuer.maxAgeWithoutExpMs;
}

/** A token that lives longer than its issuer is said to make them was made by someone else, or by mistake. */
function lifetimeFault(exp: number, iat: number | undefined, { maxLifetimeMs }: Issuer): TokenFault | undefined {
  if (maxLifetimeMs === undefined) return undefined;
  if (iat === undefined) return claimMissing("iat");
  const isTooLong = exp * 1000 - iat * 1000 > maxLifetimeMs;
  return isTooLong ? claimInvalid("exp", `must be at most ${maxLifetimeMs / 1000} s after iat`) : undefined;
}

/** Whether a token is valid now; exact at both ends. */
export function validityFault({ fromMs, untilMs }: Validity, nowMs: number): TokenFault | undefined {
  if (nowMs >= untilMs) {
    const texts = { expected: `now ${isoTime(nowMs)}`, seen: `expired ${isoTime(untilMs)}, leeway included` };
    return new TokenFault("token_expired", JWT_ERRORS.expired, texts);
  }
  if (nowMs < fromMs) {
    const texts = { expected: `now ${isoTime(nowMs)}`, seen: `valid from ${isoTime(fromMs)}, leeway included` };
    return new TokenFault("token_not_yet_valid", JWT_ERRORS.notYetValid, texts);
  }
  return undefined;
}

/** ISO 8601; numbers beyond what a date can hold stay numbers. */
const isoTime = (ms: number): string =>
  Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms / 1000} s since the epoch`;
