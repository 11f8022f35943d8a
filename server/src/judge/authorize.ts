import { claimMissing } from "../jwt/token-fault.ts";
import { isAmbiguousPath } from "../policy/path-ambiguity.ts";
import { matchRules, type RuleVerdict } from "../policy/rule.ts";
import type { Routed, WithRevocation, WithRule, WithUser } from "./judged-request.ts";
import { Refusal, refuseToken } from "./refusal.ts";
import { missingToken } from "./user-token.ts";

/** Stage 7: whether the link's rules let this user call this method and path (contract.md 4). */
export function judgeRules<R extends Routed & WithUser & WithRevocation>(routed: R): (R & WithRule) | Refusal {
  const { link, request, user } = routed;
  // The upstream must not read another path than the one the rules are asked about.
  if (isAmbiguousPath(request.path, link.link.allowAmbiguousPaths)) return new Refusal("path_ambiguous");
  const verdict = matchRules(link.rules(), { ...request, claims: user?.claims });
  if (!verdict.isAllowed) return denial(routed, verdict);
  const { ruleIndex, rewritten } = verdict;
  if (rewritten === undefined) return { ...routed, ruleIndex, forward: { path: request.path, rewritten } };
  // The rewritten path is what the upstream reads: judged like one that was sent so.
  if (isAmbiguousPath(rewritten.path, false)) return new Refusal("path_ambiguous");
  return { ...routed, ruleIndex, forward: { path: rewritten.path, rewritten } };
}

function denial({ link, user }: Routed & WithUser, verdict: RuleVerdict & { isAllowed: false }): Refusal {
  const { missingClaim, message } = verdict;
  if (missingClaim !== undefined && user !== undefined) return refuseToken(claimMissing(missingClaim));
  // Anonymous where a user would be let in: sending a token helps. With JWT verification off no token ever would.
  if (missingClaim !== undefined && link.link.userTokenMode === "OPTIONAL") return missingToken();
  return new Refusal("rule_denied", message === "" ? {} : { detail: message });
}
