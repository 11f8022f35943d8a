/** Life of a key of the built-in issuer: published, signing, verifying only, gone; or revoked from any of them. */
export type SigningKeyState = "PENDING" | "ACTIVE" | "RETIRING" | "RETIRED" | "REVOKED";

/** States in which a key stands in the JWKS. */
export const PUBLISHED_STATES: readonly SigningKeyState[] = ["PENDING", "ACTIVE", "RETIRING"];

/** Members of a public JWK (RFC 7517), `kid`, `alg` and `use` included. Never `d`. */
export type PublicJwk = Readonly<Record<string, string>>;
