import type { Clock } from "../clock.ts";
import type { WithUser } from "../judge/judged-request.ts";
import { Refusal } from "../judge/refusal.ts";
import { judgeRevocation } from "../judge/revocation.ts";
import type { ServedConfig } from "./served-link.ts";
import type { WithLink } from "./stage-values.ts";

/** How often live answers are judged again: an expired or revoked token ends them within this time. */
const CHECK_MS = 500;

/** An answer that goes on for as long as nobody ends it: an event stream, a WebSocket. */
export interface LiveAnswer {
  /** Why it may not go on; undefined = it may. */
  stillAllowed(nowMs: number): Refusal | undefined;
  finishFor(refusal: Refusal): void;
}

/**
 * The live answers, judged again while they last: a request's token is judged once, and these are used for hours. All of
 * them in one turn, and no timer while there are none.
 */
export class LiveChecks {
  readonly #open = new Set<LiveAnswer>();
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(answer: LiveAnswer): void {
    this.#open.add(answer);
    this.#timer ??= setInterval(() => this.#checkAll(), CHECK_MS);
  }

  leave(answer: LiveAnswer): void {
    this.#open.delete(answer);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #checkAll(): void {
    const nowMs = this.#clock.now();
    for (const answer of this.#open) {
      const refusal = answer.stillAllowed(nowMs);
      if (refusal !== undefined) answer.finishFor(refusal);
    }
  }
}

/** The verdict of `LiveAnswer`: the link is served, the user's token still counts (leeway included) and is not withdrawn. */
export function liveVerdict(routed: WithLink & WithUser, config: ServedConfig): LiveAnswer["stillAllowed"] {
  const { link, user } = routed;
  return (nowMs) => {
    if (config.link(link.id)?.judged.link.state !== "ACTIVE") return new Refusal("link_disabled");
    if (user !== undefined && nowMs >= user.validUntilMs) return new Refusal("token_expired");
    const verdict = judgeRevocation(routed, config.revocations, nowMs);
    return verdict instanceof Refusal ? verdict : undefined;
  };
}
