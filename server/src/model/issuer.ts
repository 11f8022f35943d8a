import { BUILT_IN_ALGORITHMS } from "./signing-key.ts";

/** A signer of users' tokens as every part of the server holds it: complete, defaults filled in. */
export interface Issuer {
  /** `projects/{project}/issuers/{issuer}`. */
  readonly name: string;
  readonly displayName: string;
  /** Compared exactly; "" = tokens with or without one. For `oidc_discovery` its URL. */
  readonly iss: string;
  readonly keys: IssuerKeys;
  /** Pinned: nothing else is accepted, whatever the token's header says. */
  readonly algorithms: readonly SigningAlgorithm[];
  /** Undefined = `exp` is required; else tokens without `exp` are accepted this long after `iat`. */
  readonly maxAgeWithoutExpMs?: number;
  /** Longest time from `iat`, which is required then, to `exp`; undefined = any. */
  readonly maxLifetimeMs?: number;
  readonly expLeewayMs: number;
  /** For `nbf` and `iat`. */
  readonly clockLeewayMs: number;
  readonly acceptIdTokens: boolean;
  /** Values of `typ`, one of which must be there; undefined = the usual kinds, or none. */
  readonly acceptedTypes?: readonly string[];
  /** Claim that is compared with a link's audiences; undefined = `aud`. */
  readonly audienceClaim?: string;
  /** Claims of a token that is exchanged for one of the project's: name → path in this issuer's; undefined = all. */
  readonly exchangeClaims?: Readonly<Record<string, string>>;
  /** Our client ids there: `aud` of its log-out tokens; undefined = it sends none. */
  readonly logoutClientIds?: readonly string[];
  /** Lets the addresses of fetched keys be loopback, private and link-local ones. */
  readonly allowPrivate: boolean;
  /** Authorities (PEM) for the TLS of hosts with keys, instead of the system's. */
  readonly caCertificates?: string;
  /** When fetched keys were last asked to be fetched anew: milliseconds since the epoch. */
  readonly keysRefreshTimeMs?: number;
}

export type IssuerKeys =
  /** `secret` is a resource name. */
  | { readonly kind: "hs256"; readonly secret: string; readonly encoding: SecretEncoding }
  | { readonly kind: "jwks_url"; readonly url: string }
  /** `url` without `/.well-known/openid-configuration`; the document's `issuer` must be the same text. */
  | { readonly kind: "oidc_discovery"; readonly url: string }
  /** A JWK set (JSON), or public keys and certificates in PEM. */
  | { readonly kind: "static_keys"; readonly text: string }
  /** The project's own keys; their public halves travel beside the issuer. */
  | { readonly kind: "built_in" };

export type IssuerKeysKind = IssuerKeys["kind"];

export type SecretEncoding = "UTF8" | "BASE64" | "HEX";

const HMAC_ALGORITHMS = ["HS256", "HS384", "HS512"] as const;
const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;
const CURVE_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const;
const PUBLIC_KEY_ALGORITHMS = [...RSA_ALGORITHMS, ...CURVE_ALGORITHMS] as const;

export const SIGNING_ALGORITHMS = [...HMAC_ALGORITHMS, ...PUBLIC_KEY_ALGORITHMS] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Algorithms that fit a kind of keys. None fits a secret and public keys: that mix is the oldest forgery of JWTs. */
export const FITTING_ALGORITHMS: Record<IssuerKeysKind, readonly SigningAlgorithm[]> = {
  hs256: HMAC_ALGORITHMS,
  jwks_url: PUBLIC_KEY_ALGORITHMS,
  oidc_discovery: PUBLIC_KEY_ALGORITHMS,
  static_keys: PUBLIC_KEY_ALGORITHMS,
  built_in: BUILT_IN_ALGORITHMS,
};

const PUBLIC_KEY_DEFAULTS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"] as const;

/** Algorithms when the configuration names none, by kind of keys. */
export const DEFAULT_ALGORITHMS: Record<IssuerKeysKind, readonly SigningAlgorithm[]> = {
  hs256: ["HS256"],
  jwks_url: PUBLIC_KEY_DEFAULTS,
  oidc_discovery: PUBLIC_KEY_DEFAULTS,
  static_keys: PUBLIC_KEY_DEFAULTS,
  built_in: BUILT_IN_ALGORITHMS,
};

/** Leeways when the configuration names none (contract.md 3). */
export const LEEWAY_DEFAULTS = { expLeewayMs: 5_000, clockLeewayMs: 60_000 } as const;

/** Least bytes of a HMAC secret: as many as the hash gives (RFC 7518 3.2). */
const HMAC_SECRET_MIN_BYTES: Partial<Record<SigningAlgorithm, number>> = { HS256: 32, HS384: 48, HS512: 64 };

/** Least bytes of a secret that is used with all of these algorithms. */
export const hmacSecretMinBytes = (algorithms: readonly SigningAlgorithm[]): number =>
  Math.max(...algorithms.map((algorithm) => HMAC_SECRET_MIN_BYTES[algorithm] ?? 32));

/** Whether a link's audiences must be set, or waived in words, for an issuer with such keys (contract.md 3). */
export const needsAudience = ({ kind }: IssuerKeys): boolean =>
  kind === "jwks_url" || kind === "oidc_discovery" || kind === "static_keys";

/** Whether the keys are fetched: only these have a status, a refresh and TLS settings. */
export const isFetched = ({ kind }: IssuerKeys): boolean => kind === "jwks_url" || kind === "oidc_discovery";

/** What one proxy knows of an issuer's fetched keys. Times are milliseconds since the epoch. */
export interface IssuerKeyStatus {
  /** Resource name of the issuer. */
  readonly issuer: string;
  /** At most 20. */
  readonly kids: readonly string[];
  /** Of the keys in use; undefined = there are none. */
  readonly fetchTimeMs?: number;
  /** Public text; "" = the last attempt succeeded, or there was none. */
  readonly lastError: string;
  /** Earliest next attempt. */
  readonly nextTryTimeMs?: number;
}
