import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { ConduitError } from "../model/errors.ts";
import type { AnswerEnd } from "./exchange.ts";
import type { ProxyMetrics } from "./metrics.ts";
import type { UsageCounter } from "./usage/usage-counter.ts";

/** Where finished requests are written down. */
export interface Recorders {
  readonly log: Log;
  readonly metrics: ProxyMetrics;
  readonly usage: UsageCounter;
  readonly clock: Clock;
}

/** A finished request. Names, sizes and the subject: never a value of a header, query or body. */
export interface FinishedRequest {
  readonly requestId: string;
  readonly method: string;
  /** Resource name and id; "" = no such link. */
  readonly link: string;
  readonly linkId: string;
  /** `sub` of the verified user token; "" = none. */
  readonly subject: string;
  readonly clientAddress: string;
  readonly status: number;
  /** `ok`, or the code of the refusal. */
  readonly outcome: string;
  /** A preflight asks nothing of the link: it is logged and measured, not counted as use. */
  readonly isPreflight: boolean;
  /** How often the upstream sent a hidden credential back; each was blanked. */
  readonly echoes: { readonly head: number; readonly body: number };
  readonly receivedBytes: number;
  readonly end: AnswerEnd;
  /** Monotonic clock, at the request's head. */
  readonly startMs: number;
}

/** Stage 12, record: once per request, also when it failed: one count, one log line, one measurement. */
export function record(finished: FinishedRequest, { log, metrics, usage, clock }: Recorders): void {
  const { link, linkId, subject, outcome, status, end, echoes } = finished;
  const durationMs = clock.monotonic() - finished.startMs;
  metrics.finished({ linkId, outcome, status, durationMs });
  if (echoes.head + echoes.body > 0) metrics.echoed(linkId, echoes);
  if (!finished.isPreflight) usage.add({ link, subject, outcome, status }, clock.now());
  if (!log.isLevelEnabled("info")) return;
  log.info(
    {
      request_id: finished.requestId,
      method: finished.method,
      link: linkId,
      status,
      outcome,
      subject,
      client: finished.clientAddress,
      received_bytes: finished.receivedBytes,
      sent_bytes: end.sentBytes,
      duration_ms: Math.round(durationMs * 10) / 10,
      ...(echoes.head + echoes.body > 0 && { credential_echoes: echoes.head + echoes.body }),
      ...(end.isClientGone && { client_gone: true }),
      ...(end.failure !== undefined && { failure: end.failure.message }),
    },
    "request",
  );
}

/** Counts bytes that never became a request: no link, no subject, only the code they were refused with. */
export function recordHeadless({ code, kind }: ConduitError, { log, metrics, usage, clock }: Recorders): void {
  metrics.began();
  metrics.finished({ linkId: "", outcome: code, status: kind.http, durationMs: 0 });
  usage.add({ link: "", subject: "", outcome: code, status: kind.http }, clock.now());
  log.info({ status: kind.http, outcome: code }, "connection refused");
}
