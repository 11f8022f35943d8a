import { RESERVED_CLAIMS } from "../../jwt/mint.ts";
import type { FieldViolation } from "../../model/errors.ts";
import type { Issuer } from "../../model/issuer.ts";
import { parseClaimPath } from "../../policy/claims.ts";

/** Of the token's own claims the mapping may only say where the roles come from. */
const MAPPABLE = "roles";
const PROTOTYPE_NAMES = ["__proto__", "constructor", "prototype"];

/** What is wrong with an issuer's mapping of claims for exchanged tokens. */
export function exchangeClaimViolations({ exchangeClaims = {} }: Issuer): FieldViolation[] {
  return Object.entries(exchangeClaims).flatMap(([name, path]) => {
    const problem = nameProblem(name) ?? pathProblem(path);
    return problem === undefined ? [] : [{ field: `issuer.exchange_claims["${name}"]`, description: problem }];
  });
}

function nameProblem(name: string): string | undefined {
  if (name === MAPPABLE) return undefined;
  if (RESERVED_CLAIMS.includes(name)) return "is the token's own claim: it cannot be mapped";
  return PROTOTYPE_NAMES.includes(name) ? "is a name that the proxies refuse to read" : undefined;
}

function pathProblem(path: string): string | undefined {
  const parsed = parseClaimPath(path);
  return "problem" in parsed ? parsed.problem : undefined;
}
