import { corsLines, isPreflight } from "./cors-plan.ts";
import type { WithCors, WithLink } from "./stage-values.ts";

/**
 * Stage 3, cors: what the answer says to pages of other origins, refusals included, and whether the request is a preflight
 * (contract.md 6). Enforces nothing: origins a link token is bound to are the link-token stage's.
 */
export function cors<R extends WithLink>(routed: R): R & WithCors {
  const { accepted, served } = routed;
  const { incoming, head } = accepted;
  const lines = corsLines(served.cors, head.origin[0]);
  const isAsked = isPreflight(incoming.method, head.origin, head.requestedMethod);
  return { ...routed, cors: { lines, preflight: isAsked ? served.cors.preflightLines : undefined } };
}
