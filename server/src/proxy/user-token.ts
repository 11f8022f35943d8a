import type { Clock } from "../clock.ts";
import type { WithApp, WithUser } from "../judge/judged-request.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { RefusedTokens } from "../judge/refused-tokens.ts";
import { judgeUserToken } from "../judge/user-token.ts";
import type { WithLink } from "./stage-values.ts";

type Verdict<R> = (R & WithUser) | Refusal;

/** Stage 5, user-token: which person calls. A token seen before needs no waiting. */
export const userToken = <R extends WithLink & WithApp>(
  routed: R,
  clock: Clock,
  refused: RefusedTokens,
): Verdict<R> | Promise<Verdict<R>> => judgeUserToken(routed, clock, refused);
