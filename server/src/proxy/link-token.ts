import type { Clock } from "../clock.ts";
import type { WithApp } from "../judge/judged-request.ts";
import { judgeLinkToken } from "../judge/link-token.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { WithCors, WithLink } from "./stage-values.ts";

/** Stage 4, link-token: which app calls. The verdict is `judge/`'s, the same that `explain` gives. */
export const linkToken = <R extends WithLink & WithCors>(routed: R, clock: Clock): (R & WithApp) | Refusal =>
  judgeLinkToken(routed, clock.now());
