import { ConduitError, type ErrorCode } from "../../model/errors.ts";

/** Codes of undici for answers that are not HTTP, or not the HTTP their head announced. */
const INVALID = /^UND_ERR_(?:HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH|RES_EXCEEDED_MAX_SIZE|SOCKET)$/;

/** Codes when an open connection breaks. */
const BROKEN = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

/** A connection that ended under a request: the only failure after which a sent request may be sent again. */
export const isBrokenConnection = (cause: Error): boolean => {
  const code = codeOf(cause);
  return BROKEN.has(code) || (code === "UND_ERR_SOCKET" && cause.message === "other side closed");
};

const INCOMPLETE = "The upstream closed the connection without a complete answer";

/** Our code for what undici and the operating system throw. `hasLeft`: whether bytes of the request had been sent. */
export function upstreamFailure(cause: Error, hasLeft: boolean): ConduitError {
  if (cause instanceof ConduitError) return cause;
  const code = codeOf(cause);
  if (code === "UND_ERR_INVALID_ARG") return failure("bad_request", "The request cannot be forwarded as it is", cause);
  if (code === "UND_ERR_CONNECT_TIMEOUT")
    return failure("upstream_timeout", "Connecting to the upstream took too long", cause);
  // The parser's own errors have a name and not always a code.
  if (cause.name === "HTTPParserError" || INVALID.test(code)) {
    const detail = isBrokenConnection(cause) ? INCOMPLETE : undefined;
    return failure("upstream_invalid", detail, cause);
  }
  // Whatever else happens to a request that has left: "unreachable" would say that it may be sent again.
  if (hasLeft) return failure("upstream_invalid", isBrokenConnection(cause) ? INCOMPLETE : undefined, cause);
  return failure("upstream_unreachable", undefined, cause);
}

function failure(code: ErrorCode, detail: string | undefined, cause: Error): ConduitError {
  return new ConduitError(code, { ...(detail !== undefined && { detail }), cause });
}

const codeOf = (cause: Error): string => String((cause as { code?: unknown }).code ?? "");
