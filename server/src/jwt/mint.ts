import { SignJWT } from "jose";
import type { Claims } from "../model/claims.ts";
import { TOKEN_SOURCE_CLAIM, type TokenSource } from "../model/token-source.ts";
import { type CompactSigner, signCompact } from "./compact-sign.ts";

/** Claims that callers may not set: RFC 9068's own, what revocation looks at, and those that would make the token an ID token. */
export const RESERVED_CLAIMS: readonly string[] = [
  ...["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "scope", "roles"],
  ...["nonce", "at_hash", "c_hash", "token_use", "cnf", "act", TOKEN_SOURCE_CLAIM],
];

/** What an access token says (RFC 9068 2.2). Times are milliseconds since the epoch, cut to whole seconds in the token. */
export interface AccessTokenContent {
  readonly issuer: string;
  readonly subject: string;
  /** Resource names of links. */
  readonly audiences: readonly string[];
  readonly clientId: string;
  /** `jti`. */
  readonly tokenId: string;
  readonly issuedAtMs: number;
  readonly lifetimeMs: number;
  /** Space separated; "" = no claim. */
  readonly scope: string;
  /** Empty = no claim. */
  readonly roles: readonly string[];
  /** `sid`. */
  readonly session?: string;
  /** `act` (RFC 8693 4.1): who acts for the subject, and for whom that one acts. */
  readonly actor?: Claims;
  /** Which token it was exchanged for. */
  readonly source?: TokenSource;
  /** Further claims; `RESERVED_CLAIMS` among them throw `TypeError`. */
  readonly claims: Claims;
}

export interface MintedToken {
  readonly token: string;
  /** `exp`, milliseconds since the epoch. */
  readonly expireTimeMs: number;
}

/** Signs an access token (RFC 9068) with the key's algorithm. */
export function mintAccessToken(key: CompactSigner, content: AccessTokenContent): MintedToken {
  const reserved = Object.keys(content.claims).find((name) => RESERVED_CLAIMS.includes(name));
  if (reserved !== undefined) throw new TypeError(`claims must not hold ${reserved}`);
  const iat = Math.floor(content.issuedAtMs / 1000);
  const exp = iat + Math.max(1, Math.floor(content.lifetimeMs / 1000));
  const payload = {
    ...content.claims,
    iss: content.issuer,
    sub: content.subject,
    aud: [...content.audiences],
    client_id: content.clientId,
    jti: content.tokenId,
    iat,
    exp,
    ...(content.scope !== "" && { scope: content.scope }),
    ...(content.roles.length > 0 && { roles: [...content.roles] }),
    ...(content.session !== undefined && { sid: content.session }),
    ...(content.actor !== undefined && { act: content.actor }),
    ...(content.source !== undefined && { [TOKEN_SOURCE_CLAIM]: content.source }),
  };
  return { token: signCompact(key, "at+jwt", payload), expireTimeMs: exp * 1000 };
}

/** Signs a token with a shared secret (HS256) as an app's own back end would; for `conduit dev` and `conduit jwt sign`. */
export function signWithSecret(secret: Uint8Array, claims: Claims): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret);
}
