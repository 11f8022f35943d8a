import type { Clock } from "../clock.ts";
import { RevocationIndex } from "../policy/revocation.ts";
import { judgeRules } from "./authorize.ts";
import type { Routed, WithRule } from "./judged-request.ts";
import { judgeLinkToken } from "./link-token.ts";
import { Refusal } from "./refusal.ts";
import { judgeRevocation } from "./revocation.ts";
import type { User } from "./user.ts";
import { judgeUserToken } from "./user-token.ts";

/** The stages that judge, as design.md 8 names them, in their order. */
export const JUDGE_STAGES = ["link-token", "user-token", "revocation", "authorize"] as const;
export type JudgeStage = (typeof JUDGE_STAGES)[number];

/** What one stage after the other said of a request. */
export interface Verdict {
  /** The stages that were asked, the refusing one last. */
  readonly judged: readonly JudgeStage[];
  /** Undefined = none refused. */
  readonly refusal: Refusal | undefined;
  /** Undefined = anonymous, or refused before. */
  readonly user: User | undefined;
  /** Undefined = the rules were not asked, or refused. */
  readonly rule: WithRule | undefined;
}

/** What is left out: a request without it can still be judged by the rest. */
export interface VerdictScope {
  /** No link token was given: judge as if a good one had been. */
  readonly skipsLinkToken: boolean;
  /** No method and path were given: the rules are not asked. */
  readonly skipsRules: boolean;
}

/** What judging needs from outside. `revocationsOf` is asked once there is a user. */
export interface VerdictContext {
  readonly clock: Clock;
  readonly revocationsOf: (user: User) => Promise<RevocationIndex>;
}

/**
 * Judges a request outside the proxy by the very functions of its stages: for `VerifyToken` and `explain`. Not judged:
 * limits, what attaching refuses (a missing claim of a header that must be sent), the upstream.
 */
export async function judgeAlone(routed: Routed, scope: VerdictScope, context: VerdictContext): Promise<Verdict> {
  const judged: JudgeStage[] = [];
  const refused = (refusal: Refusal, user?: User): Verdict => ({ judged, refusal, user, rule: undefined });
  if (!scope.skipsLinkToken) judged.push("link-token");
  const fromApp = scope.skipsLinkToken ? withoutApp(routed) : judgeLinkToken(routed, context.clock.now());
  if (fromApp instanceof Refusal) return refused(fromApp);
  judged.push("user-token");
  const fromUser = await judgeUserToken(fromApp, context.clock);
  if (fromUser instanceof Refusal) return refused(fromUser);
  const { user } = fromUser;
  judged.push("revocation");
  const revocations = user === undefined ? new RevocationIndex() : await context.revocationsOf(user);
  const current = judgeRevocation(fromUser, revocations, context.clock.now());
  if (current instanceof Refusal) return refused(current, user);
  if (scope.skipsRules) return { judged, refusal: undefined, user, rule: undefined };
  judged.push("authorize");
  const rule = judgeRules(current);
  return rule instanceof Refusal ? refused(rule, user) : { judged, refusal: undefined, user, rule };
}

const withoutApp = (routed: Routed) => ({ ...routed, app: { linkToken: undefined } });
