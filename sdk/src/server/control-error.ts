/** The error codes of Connect and gRPC, as the Connect protocol spells them. */
export type ControlErrorCode =
  | "canceled"
  | "unknown"
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data_loss"
  | "unauthenticated";

/** What a {@link ControlError} says beside its code and message. */
export interface ControlErrorParts {
  /** HTTP status; absent when no answer came (unreachable, timed out). */
  readonly status?: number | undefined;
  /** `ErrorInfo.reason`: a refusal code in upper snake, for instance `TOKEN_EXPIRED`. */
  readonly reason?: string | undefined;
  /** `ErrorInfo.metadata`. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** All details as they came. */
  readonly details?: readonly ControlErrorDetail[] | undefined;
  readonly cause?: unknown;
}

/** One detail of an error: a message type, its bytes in base64, and its JSON form where the server knows it. */
export interface ControlErrorDetail {
  readonly type?: string;
  readonly value?: string;
  readonly debug?: unknown;
}

const brand: unique symbol = Symbol.for("conduit-link.control-error");

/** The control plane refused a call, or could not be reached. Messages are the server's public text; they hold no credential. */
export class ControlError extends Error {
  declare readonly code: ControlErrorCode;
  declare readonly status: number | undefined;
  declare readonly reason: string | undefined;
  declare readonly metadata: Readonly<Record<string, string>>;
  declare readonly details: readonly ControlErrorDetail[];

  constructor(code: ControlErrorCode, message: string, parts: ControlErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = "ControlError";
    this.code = code;
    this.status = parts.status;
    this.reason = parts.reason;
    this.metadata = parts.metadata ?? {};
    this.details = parts.details ?? [];
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `error` is a {@link ControlError}, and of this code when one is given; by brand, so also across copies of the package. */
export function isControlError(error: unknown, code?: ControlErrorCode): error is ControlError {
  if (typeof error !== "object" || error === null || !(brand in error)) return false;
  return code === undefined || (error as { code?: unknown }).code === code;
}

const codes: ReadonlySet<unknown> = new Set<ControlErrorCode>([
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
]);

/** For answers that are not Connect's, from something in between. https://connectrpc.com/docs/protocol#http-to-error-code */
const codeOfStatus: Readonly<Record<number, ControlErrorCode>> = {
  400: "internal",
  401: "unauthenticated",
  403: "permission_denied",
  404: "unimplemented",
  429: "unavailable",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** Reads the error answer of a unary call: Connect's JSON, or whatever a middlebox said. */
export function parseControlError(status: number, body: unknown): ControlError {
  const fallback = codeOfStatus[status] ?? "unknown";
  if (!isRecord(body)) return new ControlError(fallback, `The control plane answered HTTP ${status}`, { status });
  const code = codes.has(body.code) ? (body.code as ControlErrorCode) : fallback;
  const details = Array.isArray(body.details) ? (body.details as unknown[]).filter(isRecord) : [];
  const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo")?.debug;
  return new ControlError(code, typeof body.message === "string" && body.message !== "" ? body.message : code, {
    status,
    details,
    reason: isRecord(info) && typeof info.reason === "string" ? info.reason : undefined,
    metadata: isRecord(info) && isRecord(info.metadata) ? (info.metadata as Record<string, string>) : undefined,
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
