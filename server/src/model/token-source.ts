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
  /** Our own tokens between that one and the new one, the oldest first; undefined = it was exchanged once. */
  readonly through?: readonly TokenBetween[];
}

/** One of our own tokens that was exchanged for another. */
export interface TokenBetween {
  readonly jti: string;
  readonly kid: string;
}

/** The claim of our own tokens that holds it. Its `sub` is the new token's. */
export const TOKEN_SOURCE_CLAIM = "conduit_source";

/** Of a verified token of a project's own issuer; undefined = it was not made from another. */
export function readTokenSource(claims: Claims): TokenSource | undefined {
  const value = claims[TOKEN_SOURCE_CLAIM];
  if (!isObject(value)) return undefined;
  const { issuer, iat, jti, sid, kid, through } = value;
  if (typeof issuer !== "string") return undefined;
  const between = Array.isArray(through) ? through.flatMap(readBetween) : [];
  return { ...tokenSource(issuer, { iat, jti, sid }, kid), ...(between.length > 0 && { through: between }) };
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

/** The source of a token that one of our own is exchanged for. @param issuer resource name of the project's own */
export function sourceOfOwn(issuer: string, claims: Claims, kid: unknown): TokenSource {
  const source = readTokenSource(claims);
  if (source === undefined) return tokenSource(issuer, claims, kid);
  return { ...source, through: [...(source.through ?? []), ...readBetween({ jti: claims.jti, kid })] };
}

const readBetween = (value: unknown): TokenBetween[] =>
  isObject(value) && typeof value.jti === "string" && typeof value.kid === "string"
    ? [{ jti: value.jti, kid: value.kid }]
    : [];

const isObject = (value: unknown): value is Claims => typeof value === "object" && value !== null;
