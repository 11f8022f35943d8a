import { readCompact } from "./compact.ts";
import { importHs256 } from "./hs256.ts";

/** How to verify a user token. */
export interface VerifyUserTokenOptions {
  /** The shared secret, as for `signUserToken`. */
  readonly secret: string | Uint8Array;
  /** `iss` must be exactly this. Default: not checked. */
  readonly issuer?: string | undefined;
  /** `aud` must be, or hold, this. Default: not checked. */
  readonly audience?: string | undefined;
  /** Seconds past `exp` a token still counts. Default 5, as the proxy's `exp_leeway`. `nbf` and `iat` may always be 60 s ahead. */
  readonly expLeewaySeconds?: number;
  /** Milliseconds since 1970; default the wall clock. For tests. */
  readonly now?: () => number;
}

/** The claims of a verified token. */
export interface UserTokenClaims {
  readonly sub: string;
  readonly exp: number;
  readonly iss?: string;
  readonly aud?: string | readonly string[];
  readonly iat?: number;
  readonly nbf?: number;
  readonly jti?: string;
  readonly [claim: string]: unknown;
}

/** Why a token was refused; the texts are those of the proxy's `jwt_error`. */
export class UserTokenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UserTokenError";
  }
}

const clockLeewaySeconds = 60;

/**
 * Verifies an HS256 user token and answers its claims; throws {@link UserTokenError} otherwise.
 *
 * Checked: strict compact form in canonical base64url of at most 16 KiB, `alg` exactly `HS256`, no `crit`, the signature (constant time),
 * `exp` (required), `nbf`, `iat` as finite numbers, `sub` as a non-empty string, and `iss` and `aud` when asked for.
 * Not checked: revocation, required claims, `typ`, duplicated JSON members; the proxy does. Other algorithms are always refused.
 */
export async function verifyUserToken(token: string, options: VerifyUserTokenOptions): Promise<UserTokenClaims> {
  const compact = readCompact(token);
  if (compact === undefined) throw new UserTokenError("Malformed token");
  const { header, payload, signingInput, signature } = compact;
  // The algorithm is pinned here, not taken from the token: `none` and key confusion end on this line.
  if (header.alg !== "HS256") throw new UserTokenError("Algorithm not allowed");
  if (header.crit !== undefined) throw new UserTokenError("Malformed token");
  const key = await importHs256(options.secret);
  if (!(await key.verify(signingInput, signature))) throw new UserTokenError("Invalid signature");
  checkClaims(payload, options);
  return payload as UserTokenClaims;
}

function checkClaims(claims: Record<string, unknown>, options: VerifyUserTokenOptions): void {
  const { issuer, audience, expLeewaySeconds = 5, now = Date.now } = options;
  const nowSeconds = now() / 1000;
  const time = (name: string) => {
    const value = claims[name];
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isFinite(value)) throw new UserTokenError(`Invalid claim: ${name}`);
    return value;
  };
  const exp = time("exp");
  if (exp === undefined) throw new UserTokenError("Missing required claim: exp");
  if (exp + expLeewaySeconds <= nowSeconds) throw new UserTokenError("Token expired");
  for (const name of ["nbf", "iat"]) {
    if ((time(name) ?? 0) > nowSeconds + clockLeewaySeconds) throw new UserTokenError("Token not yet valid");
  }
  if (typeof claims.sub !== "string" || claims.sub === "") throw new UserTokenError("Invalid claim: sub");
  if (issuer !== undefined && claims.iss !== issuer) throw new UserTokenError("Invalid issuer");
  if (audience !== undefined && ![claims.aud].flat().includes(audience)) throw new UserTokenError("Invalid audience");
}
