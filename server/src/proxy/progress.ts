import type { Clock } from "../clock.ts";
import { type DebugAccess, debugAccess } from "../judge/debug-access.ts";
import { Refusal } from "../judge/refusal.ts";
import type { User } from "../judge/user.ts";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import { ANY_ORIGIN, corsLines, isPreflight, preflightLinesFor } from "./cors-plan.ts";
import type { EchoScanner } from "./echo-scanner.ts";
import type { Abortable, AnswerEnd, AnswerSink, ProxyRequest } from "./exchange.ts";
import type { FinishedRequest } from "./record.ts";
import { type RefusalContext, refusalAnswer } from "./refusal-answer.ts";
import type { ServedLink } from "./served-link.ts";
import type { Accepted } from "./stage-values.ts";

/** What is known of a request so far: what its answer says besides the body, and what is recorded of it. */
export interface Progress {
  readonly requestId: string;
  readonly request: ProxyRequest;
  readonly sink: AnswerSink;
  readonly clock: Clock;
  /** Monotonic clock. */
  readonly startMs: number;
  accepted: Accepted | undefined;
  served: ServedLink | undefined;
  user: User | undefined;
  corsLines: readonly string[];
  limitLines: readonly string[];
  isPreflight: boolean;
  status: number;
  outcome: string;
  /** What the upstream is doing. */
  upstream: Abortable | undefined;
  /** Header lines of the answer in which a hidden credential came back. */
  headEchoes: number;
  /** Looks for hidden credentials in the answer's body. */
  scanner: EchoScanner | undefined;
}

export const NOTHING_SENT: AnswerEnd = { sentBytes: 0, isClientGone: true };

const OPEN_LINES = corsLines(ANY_ORIGIN, undefined);

export function beginProgress(requestId: string, request: ProxyRequest, sink: AnswerSink, clock: Clock): Progress {
  return {
    requestId,
    request,
    sink,
    clock,
    startMs: clock.monotonic(),
    accepted: undefined,
    served: undefined,
    user: undefined,
    // Before a link is found, answers say what an open link's would: the page must be able to read them.
    corsLines: OPEN_LINES,
    limitLines: [],
    isPreflight: false,
    status: 0,
    outcome: "ok",
    upstream: undefined,
    headEchoes: 0,
    scanner: undefined,
  };
}

/** Sends a refusal, unless the client is gone. */
export async function refuse(progress: Progress, refusal: Refusal, retryAfterSeconds?: number): Promise<AnswerEnd> {
  if (progress.sink.isGone) return NOTHING_SENT;
  progress.outcome = refusal.code;
  const base = contextOf(progress);
  const context = retryAfterSeconds === undefined ? base : { ...base, retryAfterSeconds };
  const { head, body } = refusalAnswer(refusal, context);
  progress.status = head.status;
  return await progress.sink.send(head, body);
}

function contextOf(progress: Progress): RefusalContext {
  const { requestId, request, accepted, served, corsLines: lines, limitLines } = progress;
  return {
    requestId,
    linkId: served?.judged.id ?? "",
    corsLines: lines,
    limitLines,
    debug: debugOf(progress),
    isHead: request.method === "HEAD",
    mustClose: accepted === undefined,
  };
}

/** What `X-Debug-JWT` opens for this request; nothing before its link is known. */
function debugOf({ accepted, served, clock }: Progress): DebugAccess {
  if (accepted === undefined || served === undefined) return "none";
  return debugAccess(accepted.head.debugJwt, served.judged.link.debug, served.debugKeys, clock.now());
}

/** Refuses before the stages of a link, or answers the preflight: else a page could not read why its request was refused. */
export function refuseUnrouted(progress: Progress, accepted: Accepted, refusal: Refusal): Promise<AnswerEnd> {
  const { incoming, head } = accepted;
  const isAsked = isPreflight(incoming.method, head.origin, head.requestedMethod);
  const plan = progress.served?.cors ?? ANY_ORIGIN;
  progress.corsLines = corsLines(plan, head.origin[0]);
  return isAsked ? sendPreflight(progress, preflightLinesFor(plan, head.requestedHeaders)) : refuse(progress, refusal);
}

/** Answers a preflight: 204, whatever the link would say of the request itself. */
export function sendPreflight(progress: Progress, preflightLines: readonly string[]): Promise<AnswerEnd> {
  progress.isPreflight = true;
  progress.status = 204;
  const headerLines = ["X-Request-ID", progress.requestId, ...progress.corsLines, ...preflightLines];
  return progress.sink.send({ status: 204, headerLines }, "");
}

/** The refusal for what a stage threw. Anything but a `ConduitError` is a fault of ours: the log says which. */
export function refusalOf(cause: unknown, { requestId }: Progress, log: Log): Refusal {
  if (cause instanceof ConduitError) return new Refusal(cause.code, { detail: cause.detail });
  log.error({ request_id: requestId, err: cause }, "a request failed by a fault of the proxy");
  return new Refusal("internal");
}

/** What `record` is told. */
export function finishedOf(progress: Progress, end: AnswerEnd): FinishedRequest {
  const { request, accepted, served, user } = progress;
  const isUnanswered = progress.status === 0;
  return {
    requestId: progress.requestId,
    method: request.method,
    link: served?.judged.link.name ?? "",
    linkId: served?.judged.id ?? "",
    subject: typeof user?.claims.sub === "string" ? user.claims.sub : "",
    clientAddress: accepted?.clientAddress ?? request.peerAddress,
    // Nobody was there to be answered; as nginx counts it.
    status: isUnanswered ? 499 : progress.status,
    outcome: outcomeOf(progress, end, isUnanswered),
    isPreflight: progress.isPreflight,
    echoes: { head: progress.headEchoes, body: progress.scanner?.found ?? 0 },
    receivedBytes: request.body.receivedBytes,
    end,
    startMs: progress.startMs,
  };
}

function outcomeOf({ outcome }: Progress, { failure }: AnswerEnd, isUnanswered: boolean): string {
  if (failure !== undefined) return failure instanceof ConduitError ? failure.code : "upstream_invalid";
  return isUnanswered ? "client_gone" : outcome;
}
