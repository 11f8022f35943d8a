import type { WithApp, WithRule, WithUser } from "../judge/judged-request.ts";
import { Refusal } from "../judge/refusal.ts";
import type { CompiledLimit, LimitIdentity, Reservation } from "../policy/limit.ts";
import type { LimitQuestion, LimitTable } from "./limit-table.ts";
import { refuseMissingClaim } from "./missing-claim.ts";
import type { WithLimits, WithLink } from "./stage-values.ts";

/** A refusal by a limit, which still tells how the limits stand. */
export interface LimitRefusal extends WithLimits {
  readonly refusal: Refusal;
  /** Whole seconds, at least 1. */
  readonly retryAfterSeconds: number;
}

/**
 * Stage 8, limit: takes one request from every limit of the link, or from none. After verification only, so a forged
 * token cannot drain a victim's bucket. What is reserved here would be settled in `record`; a request limit has nothing to
 * settle.
 */
export function limit<R extends WithLink & WithApp & WithUser & WithRule>(
  authorized: R,
  table: LimitTable,
): (R & WithLimits) | LimitRefusal | Refusal {
  const { limits, link } = authorized.link;
  if (limits.length === 0) return { ...authorized, limitLines: [] };
  const questions: LimitQuestion[] = [];
  const identity = identityOf(authorized);
  for (const { id, limit: rule, bucketOf } of limits) {
    const bucket = bucketOf(identity);
    if ("missingClaim" in bucket) return refuseMissingClaim(authorized, bucket.missingClaim);
    questions.push({ limit: rule, key: `${link.name}\n${id}\n${bucket.key}` });
  }
  const reservations = table.take(questions);
  const limitLines = rateLimitLines(limits, reservations);
  const refused = reservations.filter(({ isAllowed }) => !isAllowed);
  if (refused.length === 0) return { ...authorized, limitLines };
  const retryAfterSeconds = Math.max(1, ...refused.map((it) => it.retryAfterSeconds));
  return { refusal: new Refusal("rate_limited"), retryAfterSeconds, limitLines };
}

const identityOf = ({ app, user, accepted }: WithLink & WithApp & WithUser): LimitIdentity => ({
  linkToken: app.linkToken,
  issuer: user?.issuer.name,
  claims: user?.claims,
  clientAddress: accepted.clientAddress,
});

/** draft-ietf-httpapi-ratelimit-headers-10: one list member per limit. */
function rateLimitLines(limits: readonly CompiledLimit[], reservations: readonly Reservation[]): readonly string[] {
  const policies = limits.map(
    ({ limit: { name, requests, windowMs } }) => `"${name}";q=${requests};w=${windowMs / 1000}`,
  );
  const states = reservations.map(
    ({ remaining, resetSeconds }, at) => `"${limits[at]?.limit.name}";r=${remaining};t=${Math.max(0, resetSeconds)}`,
  );
  return ["RateLimit-Policy", policies.join(", "), "RateLimit", states.join(", ")];
}
