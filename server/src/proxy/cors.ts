import { Refusal } from "../judge/refusal.ts";
import { corsLines, isPreflight, preflightLinesFor } from "./cors-plan.ts";
import type { WithCors, WithLink } from "./stage-values.ts";

/**
 * Stage 3, cors: what the answer says to pages of other origins, refusals included, and whether the request is a preflight
 * (contract.md 6). Enforces nothing but on WebSockets, where browsers enforce nothing: refuses with `origin_denied`. Origins a
 * link token is bound to are the link-token stage's.
 */
export function cors<R extends WithLink>(routed: R): (R & WithCors) | Refusal {
  const { accepted, served } = routed;
  const { incoming, head } = accepted;
  const { origins } = served.cors;
  // Cross-site WebSocket hijacking: any page may open one, and would use what the browser sends along.
  const isForeign = origins !== undefined && head.origin.some((origin) => !origins.has(origin));
  if (accepted.handshake !== undefined && isForeign) {
    return new Refusal("origin_denied", { detail: "This link's WebSockets may not be opened from this origin" });
  }
  const lines = corsLines(served.cors, head.origin[0]);
  const isAsked = isPreflight(incoming.method, head.origin, head.requestedMethod);
  return {
    ...routed,
    cors: { lines, preflight: isAsked ? preflightLinesFor(served.cors, head.requestedHeaders) : undefined },
  };
}
