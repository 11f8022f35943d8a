import type { WithRule } from "../judge/judged-request.ts";
import { Refusal } from "../judge/refusal.ts";
import { type AnswerPlan, resolveLocation } from "./answer-plan.ts";
import { isSharedCacheName, privateCacheControl, privateVary } from "./cache-rules.ts";
import { canonicalName, connectionListed, isDroppedFromAnswer } from "./header-rules.ts";
import type { WithAnswer, WithCors, WithLimits, WithLink, WithOutgoing, WithUpstreamAnswer } from "./stage-values.ts";

type Forwarded = WithLink & WithCors & WithRule & WithLimits & WithOutgoing & WithUpstreamAnswer;

/** RFC 9651 fields of ours: the upstream's own would be taken for them. */
const LIMIT_NAMES = new Set(["ratelimit", "ratelimit-policy"]);
const LOCATION_NAMES = new Set(["location", "content-location"]);

/**
 * Stage 11, respond: the upstream's answer as the client gets it (contract.md 5). Bodies, encodings, validators and ranges
 * pass untouched. Refuses with `upstream_redirect_refused`.
 */
export function respond<R extends Forwarded>(forwarded: R): (R & WithAnswer) | Refusal {
  const { upstreamAnswer, served, cors, limitLines, accepted } = forwarded;
  const { answer: plan } = served;
  const lines: string[] = ["X-Request-ID", accepted.requestId];
  const echoes = addUpstreamLines(lines, forwarded);
  if (echoes instanceof Refusal) return echoes;
  if (!plan.isSharedCache) addPrivateLines(lines, upstreamAnswer.headers);
  // A shared cache must not hand one page's Access-Control-Allow-Origin to another.
  else if (served.cors.origins !== undefined) lines.push("Vary", "Origin");
  // Paths of one origin are shared by links: sandboxed, an upstream's page runs in none of them (S26).
  lines.push("X-Content-Type-Options", "nosniff", "Content-Security-Policy", "sandbox");
  for (const text of cors.lines) lines.push(text);
  for (const text of limitLines) lines.push(text);
  return { ...forwarded, answer: { status: upstreamAnswer.status, headerLines: lines }, echoes };
}

/** Returns in how many lines a hidden credential came back. */
function addUpstreamLines(lines: string[], forwarded: Forwarded): number | Refusal {
  const { upstreamAnswer, served, limitLines, outgoing, forward } = forwarded;
  const { answer: plan } = served;
  const { headers } = upstreamAnswer;
  const listed = headers.connection === undefined ? [] : connectionListed([headers.connection].flat());
  let echoes = 0;
  const shown = (value: string): string => {
    if (!plan.credential.isIn(value)) return value;
    echoes += 1;
    return plan.credential.blank(value);
  };
  for (const name of Object.keys(headers)) {
    if (isDroppedFromAnswer(name) || isCacheName(name, plan)) continue;
    if (listed.length > 0 && listed.includes(canonicalName(name))) continue;
    if (limitLines.length > 0 && LIMIT_NAMES.has(name)) continue;
    const value = headers[name] as string | string[];
    if (LOCATION_NAMES.has(name)) {
      const location =
        typeof value === "string" ? resolveLocation(plan, value, outgoing.path, forward.rewritten) : undefined;
      if (location === undefined) return new Refusal("upstream_redirect_refused");
      if (plan.credential.isIn(value as string)) echoes += 1;
      lines.push(name, location);
    } else if (typeof value === "string") lines.push(name, shown(value));
    else for (const one of value) lines.push(name, shown(one));
  }
  return echoes;
}

const isCacheName = (name: string, { isSharedCache }: AnswerPlan): boolean =>
  !isSharedCache && (name === "cache-control" || name === "vary" || isSharedCacheName(name));

function addPrivateLines(lines: string[], headers: Forwarded["upstreamAnswer"]["headers"]): void {
  lines.push("Cache-Control", privateCacheControl(joined(headers["cache-control"])));
  lines.push("Vary", privateVary(joined(headers.vary)));
}

const joined = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(", ") : value;
