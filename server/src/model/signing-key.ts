/** Life of a key of the built-in issuer: published, signing, verifying only, gone; or revoked from any of them. */
export type SigningKeyState = "PENDING" | "ACTIVE" | "RETIRING" | "RETIRED" | "REVOKED";

/** Tokens of users, or assertions of the proxies: a key never signs both, so that who has one kind cannot make the other. */
export const SIGNING_KEY_PURPOSES = ["TOKEN", "ASSERTION"] as const;
export type SigningKeyPurpose = (typeof SIGNING_KEY_PURPOSES)[number];

/** States in which a key stands in the JWKS. */
export const PUBLISHED_STATES: readonly SigningKeyState[] = ["PENDING", "ACTIVE", "RETIRING"];

/** What the built-in issuer signs with. ES256 unless a project asks for another: the widest support after RS256. */
export const BUILT_IN_ALGORITHMS = ["ES256", "RS256", "Ed25519"] as const;
export type BuiltInAlgorithm = (typeof BUILT_IN_ALGORITHMS)[number];

/** Members of a public JWK (RFC 7517), `kid`, `alg` and `use` included. Never `d`. */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key as the API shows it. Times are milliseconds since the epoch. */
export interface SigningKeyInfo {
  /** `projects/{project}/signingKeys/{kid}`. */
  readonly name: string;
  readonly purpose: SigningKeyPurpose;
  readonly algorithm: BuiltInAlgorithm;
  readonly state: SigningKeyState;
  readonly publicJwk: PublicJwk;
  readonly createTimeMs: number;
  readonly activateTimeMs?: number;
  readonly scheduledActivateTimeMs?: number;
  readonly retireTimeMs?: number;
  readonly unpublishTimeMs?: number;
}
