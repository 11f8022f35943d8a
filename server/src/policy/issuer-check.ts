import type { FieldViolation } from "../model/errors.ts";
import { FITTING_ALGORITHMS, type Issuer, isFetched } from "../model/issuer.ts";
import { outboundUrlProblem } from "./url-check.ts";

const WELL_KNOWN = "/.well-known/";

/**
 * Everything about an issuer that its message's own constraints do not say; empty = nothing is wrong. Not checked: its
 * secret (`hmac-secret.ts`), the keys of `static_keys` (`jwt/static-keys.ts`), who may allow private addresses.
 */
export function checkIssuer(issuer: Issuer): readonly FieldViolation[] {
  const { keys, maxAgeWithoutExpMs } = issuer;
  const problems: readonly (readonly [field: string, problem: string | undefined])[] = [
    ["jwks_url", keys.kind === "jwks_url" ? outboundUrlProblem(keys.url) : undefined],
    ["oidc_discovery", keys.kind === "oidc_discovery" ? discoveryProblem(keys.url) : undefined],
    // Else the document would vouch for one issuer, and tokens of another be believed.
    ["iss", keys.kind === "oidc_discovery" && issuer.iss !== keys.url ? "must be oidc_discovery, or empty" : undefined],
    ["algorithms", algorithmProblem(issuer)],
    [
      "accepted_types",
      keys.kind === "built_in" && issuer.acceptedTypes ? "is fixed for the built-in issuer" : undefined,
    ],
    [
      "audience_claim",
      keys.kind === "built_in" && issuer.audienceClaim ? "is fixed for the built-in issuer" : undefined,
    ],
    ["logout_client_ids", keys.kind === "built_in" && issuer.logoutClientIds ? "is for issuers elsewhere" : undefined],
    ["ca_certificates", issuer.caCertificates && !isFetched(keys) ? "is for keys that are fetched" : undefined],
    // Without an end a stolen token would be good for ever.
    ["max_token_age", (maxAgeWithoutExpMs ?? 1) <= 0 ? "is required with allow_missing_exp" : undefined],
  ];
  return problems.flatMap(([field, problem]) =>
    problem === undefined ? [] : [{ field: `issuer.${field}`, description: problem }],
  );
}

function discoveryProblem(url: string): string | undefined {
  if (url.includes(WELL_KNOWN)) return "must be the issuer's own URL, as in its tokens' iss, without /.well-known/…";
  return url.includes("?") ? "must not have a query" : outboundUrlProblem(url);
}

/** A secret is for HMAC alone and a public key never is: that mix is the oldest forgery of JWTs (RFC 8725 2.1). */
function algorithmProblem({ keys, algorithms }: Issuer): string | undefined {
  const fitting = FITTING_ALGORITHMS[keys.kind];
  const isFitting = algorithms.length > 0 && algorithms.every((algorithm) => fitting.includes(algorithm));
  return isFitting ? undefined : `must be among ${fitting.join(", ")} for these keys`;
}
