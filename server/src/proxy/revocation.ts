import type { Clock } from "../clock.ts";
import type { WithRevocation, WithUser } from "../judge/judged-request.ts";
import type { Refusal } from "../judge/refusal.ts";
import { judgeRevocation } from "../judge/revocation.ts";
import type { RevocationIndex } from "../policy/revocation.ts";
import type { WithLink } from "./stage-values.ts";

/** Stage 6, revocation: whether the user's token was withdrawn; an exact look-up in memory. */
export const revocation = <R extends WithLink & WithUser>(
  routed: R,
  revocations: RevocationIndex,
  clock: Clock,
): (R & WithRevocation) | Refusal => judgeRevocation(routed, revocations, clock.now());
