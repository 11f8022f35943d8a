import { judgeRules } from "../judge/authorize.ts";
import type { WithRevocation, WithRule, WithUser } from "../judge/judged-request.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { WithLink } from "./stage-values.ts";

/** Stage 7, authorize: whether a rule lets this user call this method and path. */
export const authorize = <R extends WithLink & WithUser & WithRevocation>(routed: R): (R & WithRule) | Refusal =>
  judgeRules(routed);
