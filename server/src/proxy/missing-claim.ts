import type { WithUser } from "../judge/judged-request.ts";
import { Refusal, refuseToken } from "../judge/refusal.ts";
import { missingToken } from "../judge/user-token.ts";
import { claimMissing } from "../jwt/token-fault.ts";
import type { WithLink } from "./stage-values.ts";

/** The refusal when a claim is needed that is not there: the user's token lacks it, or there is no user. */
export function refuseMissingClaim({ user, link }: WithLink & WithUser, claim: string): Refusal {
  if (user !== undefined) return refuseToken(claimMissing(claim));
  // Sending a token would help, unless the link never looks at one.
  return link.link.userTokenMode === "OFF" ? new Refusal("rule_denied") : missingToken();
}
