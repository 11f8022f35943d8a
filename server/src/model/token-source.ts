import type { Claims } from "./claims.ts";

/**
 * Which token an exchanged token was made from. It stands in the new one, so that whoever withdraws the old token, its
 * session, its signer or its key withdraws the new one too, at proxies that have seen neither the exchange nor the old one.
 */
export interface TokenSource {
  /** Resource name. */
  readonly issuer: string;
  /** Seconds since the epoch; undefined = it did not say. */
  readonly iat?: number;
  readonly jti?: string;
  readonly sid?: string;
  readonly kid?: string;
}

/** The claim of our own tokens that holds it. Its `sub` is the new token's. */
export const TOKEN_SOURCE_CLAIM = "conduit_source";

/** Of a verified token of a project's own issuer; undefined = it was not made from another. */
export function readTokenSource(claims: Claims): TokenSource | undefined {
  const value = claims[TOKEN_SOURCE_CLAIM];
  if (typeof value !== "object" || value === null) return undefined;
  const { issuer, iat, jti, sid, kid } = value as Claims;
  return typeof issuer === "string" ? tokenSource(issuer, { iat, jti, sid }, kid) : undefined;
}

/** What a token says of itself; what is not of its kind is left out. @param issuer resource name */
export function tokenSource(issuer: string, { iat, jti, sid }: Claims, kid: unknown): TokenSource {
  return {
    issuer,
    ...(typeof iat === "number" && { iat }),
    ...(typeof jti === "string" && { jti }),
    ...(typeof sid === "string" && { sid }),
    ...(typeof kid === "string" && { kid }),
  };
}
