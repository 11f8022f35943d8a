import type { FieldViolation } from "../model/errors.ts";
import { DEFAULT_ALGORITHMS, type Issuer } from "../model/issuer.ts";
import { outboundUrlProblem } from "./url-check.ts";

/**
 * Everything about an issuer that its message's own constraints do not say; empty = nothing is wrong. Not checked: its
 * secret (`hmac-secret.ts`), who may allow private addresses.
 */
export function checkIssuer(issuer: Issuer): readonly FieldViolation[] {
  const { keys, maxAgeWithoutExpMs } = issuer;
  const problems: readonly (readonly [field: string, problem: string | undefined])[] = [
    ["jwks_url", keys.kind === "jwks_url" ? outboundUrlProblem(keys.url) : undefined],
    ["algorithms", algorithmProblem(issuer)],
    // Without an end a stolen token would be good for ever.
    ["max_token_age", (maxAgeWithoutExpMs ?? 1) <= 0 ? "is required with allow_missing_exp" : undefined],
  ];
  return problems.flatMap(([field, problem]) =>
    problem === undefined ? [] : [{ field: `issuer.${field}`, description: problem }],
  );
}

/** A secret is for HS256 alone and a public key never is: that mix is the oldest forgery of JWTs (RFC 8725 2.1). */
function algorithmProblem({ keys, algorithms }: Issuer): string | undefined {
  const fitting = DEFAULT_ALGORITHMS[keys.kind];
  const isFitting = algorithms.length > 0 && algorithms.every((algorithm) => fitting.includes(algorithm));
  return isFitting ? undefined : `must be among ${fitting.join(", ")} for these keys`;
}
