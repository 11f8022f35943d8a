/** A signer of users' tokens as every part of the server holds it: complete, defaults filled in. */
export interface Issuer {
  /** `projects/{project}/issuers/{issuer}`. */
  readonly name: string;
  readonly displayName: string;
  /** Compared exactly; "" = tokens with or without one. */
  readonly iss: string;
  readonly keys: IssuerKeys;
  /** Pinned: nothing else is accepted, whatever the token's header says. */
  readonly algorithms: readonly SigningAlgorithm[];
  /** Undefined = `exp` is required; else tokens without `exp` are accepted this long after `iat`. */
  readonly maxAgeWithoutExpMs?: number;
  readonly expLeewayMs: number;
  /** For `nbf` and `iat`. */
  readonly clockLeewayMs: number;
  readonly acceptIdTokens: boolean;
  /** Lets `jwks_url` lead to loopback, private and link-local addresses. */
  readonly allowPrivate: boolean;
}

export type IssuerKeys =
  /** `secret` is a resource name. */
  | { readonly kind: "hs256"; readonly secret: string; readonly encoding: SecretEncoding }
  | { readonly kind: "jwks_url"; readonly url: string }
  /** The project's own keys; their public halves travel beside the issuer. */
  | { readonly kind: "built_in" };

export type SecretEncoding = "UTF8" | "BASE64" | "HEX";

export const SIGNING_ALGORITHMS = ["HS256", "RS256", "PS256", "ES256", "EdDSA", "Ed25519"] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Algorithms when the configuration names none, by kind of keys. */
export const DEFAULT_ALGORITHMS: Record<IssuerKeys["kind"], readonly SigningAlgorithm[]> = {
  hs256: ["HS256"],
  jwks_url: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
  built_in: ["ES256"],
};

/** Leeways when the configuration names none (contract.md 3). */
export const LEEWAY_DEFAULTS = { expLeewayMs: 5_000, clockLeewayMs: 60_000 } as const;

/** A HMAC secret must have at least this many bytes (RFC 7518 3.2). */
export const HMAC_SECRET_MIN_BYTES = 32;
