import type { ClaimCondition } from "./claim-condition.ts";
import type { Claims } from "./claims.ts";

/** A link as every part of the server holds it: complete, defaults filled in. Stored as JSON, so plain values only. */
export interface Link {
  /** `projects/{project}/links/{link}`. */
  readonly name: string;
  readonly displayName: string;
  readonly upstream: Upstream;
  readonly injections: readonly Injection[];
  /** Resource names, in order. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly anyAudience: boolean;
  /** A token's audience must hold all of `audiences`. */
  readonly requireAllAudiences: boolean;
  readonly requiredClaims: readonly ClaimCondition[];
  readonly scopesAny: readonly string[];
  readonly scopesAll: readonly string[];
  readonly rules: readonly Rule[];
  readonly claimHeaders: readonly ClaimHeader[];
  /** `OFF`, `AUTHORIZATION`, or a header's name. */
  readonly forwardUserToken: string;
  readonly limits: readonly Limit[];
  readonly cors: Cors;
  readonly linkTokenMode: CredentialMode;
  readonly userTokenMode: CredentialMode;
  /** Name of a cookie the user token may come in. */
  readonly userTokenCookie?: string;
  /** Decoded name of a query parameter the user token may come in; never sent upstream. */
  readonly userTokenQuery?: string;
  readonly debug: DebugMode;
  readonly state: "ACTIVE" | "DISABLED";
  readonly requestBodyMaxBytes: number;
  readonly allowAmbiguousPaths: boolean;
  readonly sharedCache: boolean;
  readonly sendForwarded: boolean;
  /** Origins outside the base URL that `Location` may name. */
  readonly allowedRedirectOrigins: readonly string[];
  /** Look for the injected credentials in answers' bodies too. */
  readonly scanResponseBodies: boolean;
  /** WebSocket handshakes are forwarded. */
  readonly allowWebsocket: boolean;
  /** Send `X-Conduit-Assertion`. Absent = no: links written before it was there have none. */
  readonly identityAssertion?: boolean;
  /** Template of claims (`policy/claim-template.ts`) for tokens of this project's own issuer; absent = none. */
  readonly tokenClaims?: Claims;
  /** Requests are refused when the proxy's configuration is not known to be younger; absent = they never are for that. */
  readonly maxConfigAgeMs?: number;
}

/** Whether a credential must be sent: OPTIONAL = absent is fine, a wrong one is refused; OFF = not looked at. */
export type CredentialMode = "REQUIRED" | "OPTIONAL" | "OFF";

/** Who gets `jwt_error`: nobody, holders of a debug key, everyone who asks. */
export type DebugMode = "OFF" | "KEY" | "ON";

export interface Upstream {
  /** As written: `https://host[:port][/path]`, no query, fragment or userinfo. */
  readonly baseUrl: string;
  readonly allowPrivate: boolean;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Whole exchange; undefined = no limit. */
  readonly totalTimeoutMs?: number;
  /** Authorities (PEM) for its TLS certificate, instead of the system's. */
  readonly caCertificates?: string;
}

/** A hidden credential and where it is put. `secret` is a resource name. */
export type Injection =
  | { readonly kind: "header"; readonly name: string; readonly prefix: string; readonly secret: string }
  | { readonly kind: "query"; readonly name: string; readonly secret: string }
  /** `name` = user name. */
  | { readonly kind: "basic"; readonly name: string; readonly secret: string }
  | { readonly kind: "bearer"; readonly secret: string };

export interface Rule {
  readonly effect: "ALLOW" | "DENY";
  /** Upper case; empty = all but TRACE and CONNECT. GET includes HEAD. */
  readonly methods: readonly string[];
  /** Path template (`policy/path-template.ts`). */
  readonly path: string;
  /** Decoded name → exact value. */
  readonly query: Readonly<Record<string, string>>;
  readonly claims: readonly ClaimCondition[];
  /** Public text of a refusal by this rule; "" = the usual one. */
  readonly message: string;
  /** Allow rules only. */
  readonly rewrite?: Rewrite;
}

/** Another beginning for a path that a rule allows (`policy/rewrite.ts`). */
export interface Rewrite {
  /** Leading segments of the rule's path; `/` = none. */
  readonly prefix: string;
  /** What stands there instead: literals and `{jwt.<claim>}`; `/` = nothing. */
  readonly replacement: string;
}

export interface ClaimHeader {
  readonly claim: string;
  /** Tried in order when `claim` is absent. */
  readonly fallbackClaims: readonly string[];
  readonly header: string;
  readonly ifMissing: "OMIT" | "DENY";
}

/** A GCRA limit: `burst` at once, refilled evenly at `requests` per `windowMs`. */
export interface Limit {
  readonly name: string;
  /** `subject`, `link_token`, `link`, `client_address`, or `jwt.<claim path>`. */
  readonly key: string;
  readonly requests: number;
  readonly windowMs: number;
  readonly burst: number;
}

export interface Cors {
  /** Empty = any. */
  readonly origins: readonly string[];
  readonly headers: readonly string[];
  readonly credentials: boolean;
}

/** Defaults of a new link (contract.md 8). */
export const LINK_DEFAULTS = {
  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: 120_000,
  idleTimeoutMs: 300_000,
  requestBodyMaxBytes: 10 * 1024 * 1024,
  limit: { name: "per-user", key: "subject", requests: 60, windowMs: 60_000, burst: 20 },
  claimHeader: { claim: "sub", fallbackClaims: [], header: "X-User-ID", ifMissing: "OMIT" },
} as const satisfies {
  limit: Limit;
  claimHeader: ClaimHeader;
  [name: string]: unknown;
};

/** Claim headers of the preset "identity" (contract.md 5). */
export const IDENTITY_HEADERS: readonly ClaimHeader[] = [
  { claim: "sub", fallbackClaims: [], header: "X-User-ID", ifMissing: "OMIT" },
  { claim: "roles", fallbackClaims: ["role"], header: "X-User-Roles", ifMissing: "OMIT" },
  { claim: "tenantId", fallbackClaims: ["tenant_id", "org_id"], header: "X-Tenant-ID", ifMissing: "OMIT" },
  { claim: "scope", fallbackClaims: ["scp"], header: "X-User-Scopes", ifMissing: "OMIT" },
];
