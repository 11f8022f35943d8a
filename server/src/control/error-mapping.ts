import { create } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { Code, ConnectError } from "@connectrpc/connect";
import { ConduitError, type ErrorCode, type GrpcCode, reasonOf } from "../model/errors.ts";

const CODES: Readonly<Record<GrpcCode, Code>> = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  aborted: Code.Aborted,
  failed_precondition: Code.FailedPrecondition,
  resource_exhausted: Code.ResourceExhausted,
  deadline_exceeded: Code.DeadlineExceeded,
  unavailable: Code.Unavailable,
  internal: Code.Internal,
  unimplemented: Code.Unimplemented,
};

/** Failures that the RPC library finds, as ours. The others of its own pass: their texts hold nothing of the call. */
const LIBRARY_ERRORS: ReadonlyMap<Code, ErrorCode> = new Map<Code, ErrorCode>([
  [Code.DeadlineExceeded, "deadline_exceeded"],
  [Code.Unimplemented, "not_supported"],
  [Code.ResourceExhausted, "call_too_large"],
  [Code.Internal, "internal"],
  [Code.Unknown, "internal"],
]);

/** Header of every answer that joins it to the log. */
export const REQUEST_ID_HEADER = "x-request-id";
const DOMAIN = "conduit.link";

/**
 * What a client is told of a failure (AIP-193): code, public text, ErrorInfo, the wrong fields. Of a fault of ours it
 * learns the request id and nothing else.
 */
export function toConnectError(thrown: unknown, requestId: string): ConnectError {
  const known = asConduitError(thrown);
  const error = known instanceof ConduitError ? describe(known, requestId) : known;
  error.metadata.set(REQUEST_ID_HEADER, requestId);
  return error;
}

function asConduitError(thrown: unknown): ConduitError | ConnectError {
  if (thrown instanceof ConduitError) return thrown;
  // The caller went away: nobody reads this answer.
  if (isAbortError(thrown)) return new ConnectError("The call was cancelled", Code.Canceled);
  if (!(thrown instanceof ConnectError)) return new ConduitError("internal");
  const code = LIBRARY_ERRORS.get(thrown.code);
  return code === undefined || thrown.details.length > 0 ? thrown : new ConduitError(code);
}

const isAbortError = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === "AbortError";

function describe(error: ConduitError, requestId: string): ConnectError {
  const metadata = { ...error.metadata, request_id: requestId };
  const info = {
    desc: ErrorInfoSchema,
    value: create(ErrorInfoSchema, { reason: reasonOf(error.code), domain: DOMAIN, metadata }),
  };
  const fieldViolations = error.violations.map(({ field, description }) => ({ field, description }));
  const fields = { desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) };
  const seconds = BigInt(error.retryAfterSeconds ?? 0);
  const retry = { desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay: { seconds } }) };
  const details = [info, ...(fieldViolations.length > 0 ? [fields] : []), ...(seconds > 0n ? [retry] : [])];
  return new ConnectError(error.detail, CODES[error.kind.grpc], undefined, details);
}
