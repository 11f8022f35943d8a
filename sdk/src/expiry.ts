import { finiteOf, type ParsedGrant } from "./grant.ts";
import { defaultPlatform, type Platform } from "./platform.ts";

/** A token as the client holds it. Compared by identity: each receipt is a new one, even of the same string. */
export interface HeldToken extends ParsedGrant {
  readonly generation: number;
  /** From receipt to expiry; `Infinity` when nothing tells. */
  readonly lifetimeMs: number;
  /** When it expires, by each clock. */
  readonly endMonotonicMs: number;
  readonly expiresAt: number;
}

/** Notes when a grant arrived, so that its expiry is counted from receipt and a wrong local clock does not matter. */
export function holdToken(grant: ParsedGrant, generation: number, platform: Platform): HeldToken {
  const lifetimeMs = lifetimeOf(grant, platform);
  const endMonotonicMs = platform.monotonic() + lifetimeMs;
  return { ...grant, generation, lifetimeMs, endMonotonicMs, expiresAt: platform.now() + lifetimeMs };
}

/**
 * `expiresIn`, else the token's `exp - iat`, else (no `iat`) `exp` by the wall clock, else `Infinity`.
 * At least one second: a token just received is never expired, or a source that answers stale tokens would be asked without end.
 */
function lifetimeOf(grant: ParsedGrant, platform: Platform): number {
  const { exp, iat } = decodeTimes(grant.token);
  const seconds = grant.expiresInSeconds ?? (exp === undefined ? Infinity : exp - (iat ?? platform.now() / 1000));
  return Math.max(seconds * 1000, 1000);
}

/**
 * Milliseconds until `held` expires; negative afterwards. By the monotonic clock, which in some browsers stands still while the
 * machine sleeps: `strict` also believes the wall clock when that shows more time gone by, at the price of a needless refresh after a jump.
 */
export function remainingMs(held: HeldToken, platform: Platform, strict?: boolean): number {
  const leftMs = held.endMonotonicMs - platform.monotonic();
  return strict ? Math.min(leftMs, held.expiresAt - platform.now()) : leftMs;
}

/** How long before expiry a refresh starts: the smaller of 60 s and a fifth of the lifetime. */
export function marginMs(held: HeldToken): number {
  return Math.min(60_000, held.lifetimeMs / 5);
}

/**
 * Whether a JWT is past its `exp`, or will be within `leewaySeconds` (default 0), by the local clock. What is not a JWT, or has no numeric
 * `exp`, counts as expired. Nothing else is checked, above all no signature: for a page's convenience, never for a decision about access.
 */
export function isTokenExpired(token: string | null | undefined, leewaySeconds = 0): boolean {
  const { exp } = decodeTimes(token ?? "");
  return exp === undefined || exp <= defaultPlatform.now() / 1000 + leewaySeconds;
}

/** `exp` and `iat` (seconds since 1970, RFC 7519 section 4.1) of a JWT's payload, unverified; whatever cannot be read is absent. */
export function decodeTimes(token: string): { exp?: number | undefined; iat?: number | undefined } {
  try {
    const { exp, iat } = JSON.parse(decodeLatin1(token.split(".")[1] ?? ""));
    return { exp: finiteOf(exp), iat: finiteOf(iat) };
  } catch {
    return {};
  }
}

/** base64url to one character per byte: enough for JSON whose numbers alone are of interest. By hand: not every Hermes has `atob`. */
function decodeLatin1(text: string): string {
  let bits = 0;
  let count = 0;
  return text.replace(/./gs, (character) => {
    const code = character.charCodeAt(0);
    const value = code > 96 ? code - 71 : code > 94 ? 63 : code > 64 ? code - 65 : code > 47 ? code + 4 : 62;
    bits = (bits << 6) | value;
    count = (count + 6) % 8;
    return count > 5 ? "" : String.fromCharCode((bits >> count) & 255);
  });
}
