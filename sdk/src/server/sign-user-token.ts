import { durationSeconds } from "./duration.ts";
import { encodeJsonPart, importHs256 } from "./hs256.ts";

/** A user token to sign. */
export interface SignUserTokenOptions {
  /** The person; what `{jwt.sub}` in a rule stands for and per-user limits count by. Not empty. */
  readonly sub: string;
  /** The secret of the link's HS256 issuer: text (its UTF-8 bytes) or bytes, at least 32 bytes. Server side only. */
  readonly secret: string | Uint8Array;
  /** Further claims, e.g. `email`, `roles`, `tenantId`. Registered names (RFC 7519 section 4.1) are refused. */
  readonly claims?: object;
  /** `iss`, exactly as the issuer has it. */
  readonly issuer?: string | undefined;
  /** `aud`. */
  readonly audience?: string | readonly string[] | undefined;
  /** Whole seconds, or `15m`, `900s`, `24h`, `7d`. Default `15m`. */
  readonly expiresIn?: number | string;
  /** Milliseconds since 1970; default the wall clock. For tests. */
  readonly now?: () => number;
}

const registered = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/**
 * Signs a user's JWT with HS256 (WebCrypto): header `{"alg":"HS256","typ":"JWT"}`, claims `sub`, `iat`, `exp`, a random `jti` by which it
 * can be revoked, and yours. Throws `TypeError` for a short secret, an empty `sub`, a bad lifetime, or a registered name among `claims`.
 */
export async function signUserToken(options: SignUserTokenOptions): Promise<string> {
  const { sub, secret, claims = {}, issuer, audience, expiresIn = "15m", now = Date.now } = options;
  if (typeof sub !== "string" || sub === "") throw new TypeError("sub must be a non-empty string");
  const collision = registered.find((name) => Object.hasOwn(claims, name));
  if (collision) throw new TypeError(`claims must not hold the registered name '${collision}'`);
  const key = await importHs256(secret);
  const iat = Math.floor(now() / 1000);
  const payload = {
    ...claims,
    ...(issuer !== undefined && { iss: issuer }),
    ...(audience !== undefined && { aud: audience }),
    sub,
    iat,
    exp: iat + durationSeconds(expiresIn, "expiresIn"),
    jti: crypto.randomUUID(),
  };
  const input = `${encodeJsonPart({ alg: "HS256", typ: "JWT" })}.${encodeJsonPart(payload)}`;
  return `${input}.${await key.sign(input)}`;
}
