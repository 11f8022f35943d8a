import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { ConnectError } from "@connectrpc/connect";
import { ConduitError, type ErrorCode, reasonOf } from "../../model/errors.ts";
import { type OAuthErrorCode, OAuthFault } from "./fault.ts";

/** What the API's refusals are called in OAuth. Whatever is not here is a fault of ours. */
const CODES: Partial<Record<ErrorCode, OAuthErrorCode>> = {
  credential_invalid: "invalid_client",
  refresh_token_invalid: "invalid_grant",
  permission_missing: "unauthorized_client",
  resource_not_found: "invalid_request",
  field_invalid: "invalid_request",
  call_too_large: "invalid_request",
  store_unavailable: "temporarily_unavailable",
  issuer_unreachable: "temporarily_unavailable",
  not_ready: "temporarily_unavailable",
  deadline_exceeded: "temporarily_unavailable",
  rate_limited: "temporarily_unavailable",
};

/** Fields of our requests whose OAuth parameters have codes of their own (RFC 8707 2, RFC 6749 5.2). */
const FIELD_CODES: readonly (readonly [field: RegExp, code: OAuthErrorCode])[] = [
  [/^links\b/, "invalid_target"],
  [/^scope\b/, "invalid_scope"],
];

const BY_REASON = new Map(Object.entries(CODES).map(([code, oauth]) => [reasonOf(code as ErrorCode), oauth]));

/** Seconds after which a client may try again, when the failure does not say. */
const RETRY_AFTER_S = 1;

/** What has a status of its own in HTTP: OAuth has no code for it (RFC 6585 4). */
const TOO_MANY = { code: "rate_limited", status: 429 } as const;

/** The failure of a call to the API as an OAuth client is told it. Rethrows what no client caused. */
export function faultOfCall(thrown: unknown): OAuthFault {
  return faultOf(readFailure(thrown)) ?? rethrow(thrown);
}

function rethrow(thrown: unknown): never {
  throw thrown;
}

interface Failure {
  readonly reason: string;
  readonly description: string;
  readonly fields: readonly string[];
  readonly retryAfterS: number | undefined;
}

/** Throws what is no refusal. */
function readFailure(thrown: unknown): Failure {
  if (thrown instanceof ConduitError) {
    const { code, detail: description, retryAfterSeconds: retryAfterS } = thrown;
    return { reason: reasonOf(code), description, fields: [], retryAfterS };
  }
  if (!(thrown instanceof ConnectError)) throw thrown;
  const [info] = thrown.findDetails(ErrorInfoSchema);
  const [retry] = thrown.findDetails(RetryInfoSchema);
  const fields = thrown.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    reason: info?.reason ?? "",
    description: thrown.rawMessage,
    fields: fields.map(({ field }) => field),
    retryAfterS: retry?.retryDelay && Number(retry.retryDelay.seconds),
  };
}

function faultOf({ reason, description, fields, retryAfterS }: Failure): OAuthFault | undefined {
  const code = BY_REASON.get(reason);
  if (code === undefined) return undefined;
  const [special] = FIELD_CODES.filter(([pattern]) => fields.some((field) => pattern.test(field)));
  if (code === "invalid_request" && special !== undefined) return new OAuthFault(special[1], description);
  if (code !== "temporarily_unavailable") return new OAuthFault(code, description);
  const headers = { "Retry-After": `${Math.max(RETRY_AFTER_S, retryAfterS ?? RETRY_AFTER_S)}` };
  const isTooMany = reason === reasonOf(TOO_MANY.code);
  return new OAuthFault(code, description, { headers, ...(isTooMany && { status: TOO_MANY.status }) });
}
