import { BadRequestSchema, ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
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

/** Seconds after which a client may try again. */
const RETRY_AFTER_S = 1;

/** The failure of a call to the API as an OAuth client is told it. Rethrows what no client caused. */
export function faultOfCall(thrown: unknown): OAuthFault {
  if (thrown instanceof ConduitError) return faultOf(CODES[thrown.code], thrown.detail, []) ?? rethrow(thrown);
  if (!(thrown instanceof ConnectError)) throw thrown;
  const [info] = thrown.findDetails(ErrorInfoSchema);
  const fields = thrown.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const code = BY_REASON.get(info?.reason ?? "");
  return (
    faultOf(
      code,
      thrown.rawMessage,
      fields.map(({ field }) => field),
    ) ?? rethrow(thrown)
  );
}

function rethrow(thrown: unknown): never {
  throw thrown;
}

function faultOf(
  code: OAuthErrorCode | undefined,
  description: string,
  fields: readonly string[],
): OAuthFault | undefined {
  if (code === undefined) return undefined;
  const [special] = FIELD_CODES.filter(([pattern]) => fields.some((field) => pattern.test(field)));
  if (code === "invalid_request" && special !== undefined) return new OAuthFault(special[1], description);
  const headers = code === "temporarily_unavailable" ? { "Retry-After": `${RETRY_AFTER_S}` } : {};
  return new OAuthFault(code, description, { headers });
}
