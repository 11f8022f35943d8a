import type { Clock } from "../clock.ts";
import { Refusal } from "../judge/refusal.ts";
import { RefusedTokens } from "../judge/refused-tokens.ts";
import type { Log } from "../log.ts";
import type { ClientAddress } from "../policy/trusted-proxies.ts";
import type { Random } from "../random.ts";
import { accept } from "./accept.ts";
import { attach } from "./attach.ts";
import { authorize } from "./authorize.ts";
import { cors } from "./cors.ts";
import type { AnswerEnd } from "./exchange.ts";
import { forward } from "./forward.ts";
import type { Serve } from "./http-adapter.ts";
import { limit } from "./limit.ts";
import type { LimitTable } from "./limit-table.ts";
import { linkToken } from "./link-token.ts";
import type { LiveAnswers } from "./live-answers.ts";
import {
  beginProgress,
  finishedOf,
  NOTHING_SENT,
  type Progress,
  refusalOf,
  refuse,
  refuseUnrouted,
  sendPreflight,
} from "./progress.ts";
import { type Recorders, record } from "./record.ts";
import { respond } from "./respond.ts";
import { revocation } from "./revocation.ts";
import { route } from "./route.ts";
import { ScannedBody } from "./scanned-body.ts";
import type { ServedConfig } from "./served-link.ts";
import type { WithLink, WithUpstreamAnswer } from "./stage-values.ts";
import type { UpstreamPools } from "./upstream/pools.ts";
import { userToken } from "./user-token.ts";
import { openTunnel } from "./websocket/open-tunnel.ts";
import type { Tunnels } from "./websocket/tunnels.ts";

/** What the stages need from outside. */
export interface PipelineParts {
  readonly config: ServedConfig;
  readonly clientAddress: ClientAddress;
  readonly limits: LimitTable;
  readonly pools: UpstreamPools;
  readonly live: LiveAnswers;
  readonly tunnels: Tunnels;
  readonly recorders: Recorders;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The proxy: from a request to its one answer, recorded once (design.md 8). */
export function createPipeline(parts: PipelineParts): Serve {
  const refusedTokens = new RefusedTokens();
  return async (request, sink) => {
    const progress = beginProgress(parts.random.uuid(), request, sink, parts.clock);
    parts.recorders.metrics.began();
    let end = NOTHING_SENT;
    try {
      end = await serve(progress, parts, refusedTokens);
    } catch (cause) {
      progress.upstream?.abort();
      end = await refuse(progress, refusalOf(cause, progress, parts.log));
    } finally {
      record(finishedOf(progress, end), parts.recorders);
    }
  };
}

/** The stages in their order; the first that refuses answers. */
async function serve(progress: Progress, parts: PipelineParts, refusedTokens: RefusedTokens): Promise<AnswerEnd> {
  const { clock, config } = parts;
  const accepted = accept(progress.request, progress.requestId, parts.clientAddress);
  progress.accepted = accepted;
  const routed = route(accepted, config);
  if (routed instanceof Refusal) return await refuseUnrouted(progress, accepted, routed);
  progress.served = routed.served;
  if ("refusal" in routed) return await refuseUnrouted(progress, accepted, routed.refusal);
  const crossOrigin = cors(routed);
  if (crossOrigin instanceof Refusal) return await refuse(progress, crossOrigin);
  progress.corsLines = crossOrigin.cors.lines;
  if (crossOrigin.cors.preflight !== undefined) return await sendPreflight(progress, crossOrigin.cors.preflight);
  const fromApp = linkToken(crossOrigin, clock);
  if (fromApp instanceof Refusal) return await refuse(progress, fromApp);
  const verdict = userToken(fromApp, clock, refusedTokens);
  const fromUser = verdict instanceof Promise ? await verdict : verdict;
  if (fromUser instanceof Refusal) return await refuse(progress, fromUser);
  progress.user = fromUser.user;
  const current = revocation(fromUser, config.revocations, clock);
  if (current instanceof Refusal) return await refuse(progress, current);
  const authorized = authorize(current);
  if (authorized instanceof Refusal) return await refuse(progress, authorized);
  const limited = limit(authorized, parts.limits);
  if (limited instanceof Refusal) return await refuse(progress, limited);
  progress.limitLines = limited.limitLines;
  if ("refusal" in limited) return await refuse(progress, limited.refusal, limited.retryAfterSeconds);
  const attached = attach(limited, config.pseudonym);
  if (attached instanceof Refusal) return await refuse(progress, attached);
  const exchange = forward(attached, parts.pools);
  // The object, not a function literal: V8 puts one that is assigned to a property into the old generation, and with it
  // all of the request that it reaches, until the next full collection (measured: a quarter of the CPU per request).
  progress.upstream = exchange;
  progress.sink.onGone(exchange);
  const upstreamAnswer = await exchange.answer;
  if (upstreamAnswer.upgraded !== undefined) {
    progress.status = 101;
    const end = await openTunnel({ ...attached, upstreamAnswer }, upstreamAnswer.upgraded, progress.sink, parts);
    if (!(end instanceof Refusal)) return end;
    progress.status = 0;
    return await refuse(progress, end);
  }
  const responded = respond({ ...attached, upstreamAnswer });
  if (responded instanceof Refusal) {
    exchange.abort();
    return await refuse(progress, responded);
  }
  progress.status = responded.answer.status;
  progress.headEchoes = responded.echoes;
  const body = parts.live.watch(responded, scannedBody(responded, progress), config);
  return await progress.sink.stream(responded.answer, body);
}

/** The body without hidden credentials where the link says so. A compressed one cannot be read, and passes. */
function scannedBody({ served, upstreamAnswer: { headers, body } }: WithLink & WithUpstreamAnswer, progress: Progress) {
  const isReadable = headers["content-encoding"] === undefined || headers["content-encoding"] === "identity";
  const scanner = served.answer.scansBodies && isReadable ? served.answer.credential.newScanner() : undefined;
  if (scanner === undefined) return body;
  progress.scanner = scanner;
  return new ScannedBody(body, scanner);
}
