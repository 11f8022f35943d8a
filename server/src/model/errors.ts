/** Canonical gRPC codes by name, as far as errors of ours use them. */
export type GrpcCode =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "already_exists"
  | "aborted"
  | "failed_precondition"
  | "resource_exhausted"
  | "deadline_exceeded"
  | "unavailable"
  | "internal"
  | "unimplemented";

/** What is said of one kind of failure. */
export interface ErrorKind {
  /** HTTP status of the proxy's answer, and of plain HTTP endpoints. */
  readonly http: number;
  readonly grpc: GrpcCode;
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean;
  /** Public, the same for every failure of this kind. */
  readonly title: string;
  /** Public: what is wrong and what to do, when the place of failure has nothing better to say. */
  readonly detail: string;
}

const kind = (http: number, grpc: GrpcCode, title: string, detail: string, retryable = false): ErrorKind => ({
  http,
  grpc,
  retryable,
  title,
  detail,
});

/**
 * Every failure we tell a client about. The key is `code` in problem+json and `X-Conduit-Error`, in upper case
 * `ErrorInfo.reason`, with the prefix `ERROR_REASON_` the proto's enum value; a test keeps them equal.
 */
export const ERRORS = {
  bad_request: kind(400, "invalid_argument", "Bad request", "The request is not well-formed HTTP"),
  path_ambiguous: kind(
    400,
    "invalid_argument",
    "Ambiguous path",
    "The path has more than one reading: send it without dot segments, backslashes, empty segments and encoded separators",
  ),
  token_ambiguous: kind(400, "invalid_argument", "Ambiguous token", "Two different user tokens were sent: send one"),

  link_token_missing: kind(
    401,
    "unauthenticated",
    "Missing access token",
    "Missing access token: send the link's token in the X-Access-Token header",
  ),
  link_token_invalid: kind(
    401,
    "unauthenticated",
    "Invalid access token",
    "Invalid access token: send a current token of this link in the X-Access-Token header",
  ),
  token_missing: kind(
    401,
    "unauthenticated",
    "Missing token",
    "Missing token: send the user's JWT as Authorization: Bearer <JWT>",
  ),
  token_malformed: kind(401, "unauthenticated", "Malformed token", "The token is not a JWT in strict compact form"),
  token_algorithm_refused: kind(
    401,
    "unauthenticated",
    "Algorithm not allowed",
    "The token is signed with an algorithm the issuer's configuration does not allow",
  ),
  token_signature_invalid: kind(
    401,
    "unauthenticated",
    "Invalid signature",
    "The token's signature does not verify with the issuer's keys",
  ),
  token_expired: kind(401, "unauthenticated", "Token expired", "The token has expired: get a new one"),
  token_not_yet_valid: kind(
    401,
    "unauthenticated",
    "Token not yet valid",
    "The token is not valid yet: check the signer's clock",
  ),
  token_issuer_unknown: kind(
    401,
    "unauthenticated",
    "Invalid issuer",
    "None of the link's issuers signs tokens with this iss",
  ),
  token_audience_mismatch: kind(
    401,
    "unauthenticated",
    "Invalid audience",
    "The token is meant for another audience: none of its aud is one of the link's",
  ),
  token_type_mismatch: kind(401, "unauthenticated", "Wrong token type", "The token is of another kind"),
  token_claim_missing: kind(401, "unauthenticated", "Missing claim", "The token lacks a claim the link requires"),
  token_claim_invalid: kind(401, "unauthenticated", "Invalid claim", "A claim of the token has a wrong type or value"),
  token_revoked: kind(401, "unauthenticated", "Token revoked", "The token was revoked: sign in again"),

  rule_denied: kind(
    403,
    "permission_denied",
    "Denied",
    "No rule of this link allows this method and path for this user",
  ),
  insufficient_scope: kind(403, "permission_denied", "Insufficient scope", "The token lacks a scope this link demands"),
  origin_denied: kind(403, "permission_denied", "Origin denied", "This access token may not be used from this origin"),
  address_denied: kind(
    403,
    "permission_denied",
    "Address denied",
    "This access token may not be used from this address",
  ),
  csrf_rejected: kind(
    403,
    "permission_denied",
    "Cross-site request refused",
    "A token from a cookie counts only from the app's own origin or with the X-Access-Token header",
  ),
  link_disabled: kind(403, "permission_denied", "Link disabled", "This link is switched off"),

  link_unknown: kind(404, "not_found", "Unknown link", "No link has this id: the URL is <proxy>/<link-id>/<path>"),

  request_timeout: kind(408, "deadline_exceeded", "Request timeout", "The request did not arrive in time", true),
  body_too_large: kind(413, "resource_exhausted", "Body too large", "The request body is larger than this link allows"),
  target_too_long: kind(414, "invalid_argument", "Target too long", "The request target is longer than 8 KiB"),
  head_too_large: kind(
    431,
    "resource_exhausted",
    "Header too large",
    "The request's header is larger than 32 KiB or has more than 200 lines",
  ),

  rate_limited: kind(
    429,
    "resource_exhausted",
    "Too many requests",
    "Over the limit: try again after the time in Retry-After",
    true,
  ),
  concurrency_limited: kind(
    429,
    "resource_exhausted",
    "Too many requests at once",
    "Too many requests at once: try again after the time in Retry-After",
    true,
  ),

  not_supported: kind(
    501,
    "unimplemented",
    "Not supported",
    "This method, transfer coding or upgrade is not supported here",
  ),
  upstream_unreachable: kind(
    502,
    "unavailable",
    "Upstream unreachable",
    "No connection to the upstream could be made",
    true,
  ),
  upstream_invalid: kind(502, "unavailable", "Invalid upstream answer", "The upstream's answer is not valid HTTP"),
  upstream_address_refused: kind(
    502,
    "failed_precondition",
    "Upstream address refused",
    "The upstream's address is private, local or special; an operator can allow it for the link",
  ),
  upstream_redirect_refused: kind(
    502,
    "failed_precondition",
    "Upstream redirect refused",
    "The upstream redirects outside its own base URL; the link can list the target's origin",
  ),
  upstream_overloaded: kind(503, "unavailable", "Upstream overloaded", "No connection to the upstream is free", true),
  config_stale: kind(
    503,
    "unavailable",
    "Configuration stale",
    "This proxy's configuration is older than the link allows",
    true,
  ),
  issuer_unreachable: kind(
    503,
    "unavailable",
    "Identity provider unreachable",
    "The issuer's keys cannot be fetched now",
    true,
  ),
  not_ready: kind(503, "unavailable", "Not ready", "The process is starting or stopping", true),
  upstream_timeout: kind(504, "deadline_exceeded", "Upstream timeout", "The upstream did not answer in time", true),
  loop_detected: kind(508, "failed_precondition", "Loop detected", "The request has passed this installation already"),

  credential_invalid: kind(
    401,
    "unauthenticated",
    "Invalid credential",
    "Send a current API key as authorization: Bearer cl_key_…",
  ),
  permission_missing: kind(
    403,
    "permission_denied",
    "Permission missing",
    "The API key's role does not allow this call",
  ),
  resource_not_found: kind(404, "not_found", "Not found", "There is no such resource, or it is not yours"),
  resource_exists: kind(409, "already_exists", "Exists", "The id is taken: choose another"),
  field_invalid: kind(400, "invalid_argument", "Invalid field", "A field of the request is wrong"),
  etag_mismatch: kind(
    409,
    "aborted",
    "Changed meanwhile",
    "The resource changed since its etag was read: read it again",
  ),
  page_token_invalid: kind(
    400,
    "invalid_argument",
    "Invalid page token",
    "page_token is not one of this list: start again without it",
  ),
  request_id_reused: kind(
    400,
    "invalid_argument",
    "Request id reused",
    "request_id was used with another request: make a new one",
  ),
  resource_in_use: kind(409, "failed_precondition", "In use", "Other resources still use this one: change them first"),
  precondition_unmet: kind(
    409,
    "failed_precondition",
    "Precondition unmet",
    "A condition for this change does not hold yet",
  ),
  join_token_invalid: kind(
    401,
    "unauthenticated",
    "Invalid join token",
    "The join token is unknown, used or expired: make a new one with `conduit proxy join-token`",
  ),
  proxy_revoked: kind(
    401,
    "unauthenticated",
    "Proxy revoked",
    "This proxy has been revoked: empty its data directory and let it join with a new join token",
  ),
  refresh_token_invalid: kind(
    401,
    "unauthenticated",
    "Invalid refresh token",
    "The refresh token is unknown, used before, revoked or expired: sign in again",
  ),
  store_unavailable: kind(
    503,
    "unavailable",
    "Database unavailable",
    "The database cannot be reached; nothing was changed",
    true,
  ),
  deadline_exceeded: kind(
    504,
    "deadline_exceeded",
    "Deadline exceeded",
    "The call took longer than its deadline",
    true,
  ),
  call_too_large: kind(413, "resource_exhausted", "Call too large", "The message is larger than 1 MiB"),
  internal: kind(500, "internal", "Internal error", "A fault of ours; the request id joins it to the log"),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** One wrong field of an API request. `field` is its path (`link.upstream.base_url`); no text carries its value. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ConduitErrorOptions {
  /** Public text; default: the kind's `detail`. Names parameters, never their values. */
  readonly detail?: string;
  /** For the log only. */
  readonly cause?: unknown;
  /** Public details by name; never a value the caller sent. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** For `field_invalid`. */
  readonly violations?: readonly FieldViolation[];
  /** When the same call may succeed, for `rate_limited`. */
  readonly retryAfterSeconds?: number;
}

/** The one error class of the server: a failure that has a public code. Anything else thrown is a bug: `internal`. */
export class ConduitError extends Error {
  readonly code: ErrorCode;
  /** Public text. */
  readonly detail: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, options: ConduitErrorOptions = {}) {
    const detail = options.detail ?? ERRORS[code].detail;
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ConduitError";
    this.code = code;
    this.detail = detail;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get kind(): ErrorKind {
    return ERRORS[this.code];
  }
}

/** A `field_invalid` error naming the fields. */
export function invalidFields(violations: readonly FieldViolation[]): ConduitError {
  const detail = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  return new ConduitError("field_invalid", { detail, violations });
}

/** `ErrorInfo.reason` of a code. */
export const reasonOf = (code: ErrorCode): string => code.toUpperCase();
