import type { DebugAccess } from "../judge/debug-access.ts";
import { challengeText, Refusal } from "../judge/refusal.ts";
import { type ConduitError, ERRORS, type ErrorCode } from "../model/errors.ts";
import { ANY_ORIGIN, corsLines } from "./cors-plan.ts";
import type { AnswerHead } from "./exchange.ts";

const TYPE_BASE = "https://conduit.link/errors/";
const DEBUG_IS_OFF = "JWT debugging is off for this link; create a debug key under Security";

/** Seconds after which a request refused for a passing reason may be sent again. */
const RETRY_AFTER_SECONDS: Partial<Record<ErrorCode, number>> = {
  rate_limited: 1,
  concurrency_limited: 1,
  upstream_overloaded: 1,
  not_ready: 1,
  config_stale: 5,
  issuer_unreachable: 5,
};

/** What is known of the request that is refused. */
export interface RefusalContext {
  readonly requestId: string;
  /** "" = none found. */
  readonly linkId: string;
  readonly corsLines: readonly string[];
  readonly limitLines: readonly string[];
  /** Whether the body says `jwt_error` and its details. */
  readonly debug: DebugAccess;
  readonly isHead: boolean;
  /** The connection cannot go on: its framing is in doubt. */
  readonly mustClose: boolean;
  /** Default: the code's. */
  readonly retryAfterSeconds?: number;
}

/** A refusal as problem+json (RFC 9457) with its header; contract.md 7. `body` is "" for HEAD. */
export function refusalAnswer(refusal: Refusal, context: RefusalContext): { head: AnswerHead; body: string } {
  const { http } = ERRORS[refusal.code];
  const body = JSON.stringify(problemOf(refusal, context));
  const retryAfter = context.retryAfterSeconds ?? RETRY_AFTER_SECONDS[refusal.code];
  const challenge = challengeText(refusal, context.linkId);
  const headerLines = [
    ...["Content-Type", "application/problem+json", "Content-Length", String(Buffer.byteLength(body))],
    ...["X-Conduit-Error", refusal.code, "X-Request-ID", context.requestId],
    ...["Cache-Control", "no-store", "X-Content-Type-Options", "nosniff"],
    ...(challenge === undefined ? [] : ["WWW-Authenticate", challenge]),
    ...(retryAfter === undefined ? [] : ["Retry-After", String(retryAfter)]),
    ...(context.mustClose ? ["Connection", "close"] : []),
    ...context.corsLines,
    ...context.limitLines,
  ];
  return { head: { status: http, headerLines }, body: context.isHead ? "" : body };
}

/** The answer to bytes that never became a request; its connection ends with it. */
export function headlessRefusal(cause: ConduitError, requestId: string): { head: AnswerHead; body: string } {
  const nothingKnown = { linkId: "", limitLines: [], debug: "none", isHead: false, mustClose: true } as const;
  const refusal = new Refusal(cause.code, { detail: cause.detail });
  return refusalAnswer(refusal, { ...nothingKnown, requestId, corsLines: corsLines(ANY_ORIGIN, undefined) });
}

function problemOf(refusal: Refusal, { requestId, debug }: RefusalContext): Record<string, unknown> {
  const { title, http } = ERRORS[refusal.code];
  return {
    type: `${TYPE_BASE}${refusal.code}`,
    title,
    status: http,
    detail: refusal.detail,
    code: refusal.code,
    request_id: requestId,
    ...(debug === "denied" && { jwt_error: DEBUG_IS_OFF }),
    // Undefined members are left out by JSON.
    ...(debug === "allowed" && { jwt_error: refusal.jwtError, expected: refusal.expected, seen: refusal.seen }),
  };
}
