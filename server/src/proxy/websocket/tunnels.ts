import type { Refusal } from "../../judge/refusal.ts";
import type { LiveAnswer, LiveChecks } from "../live-checks.ts";
import type { Tunnel } from "./tunnel.ts";

/** The open WebSocket connections: ended with the token, the link and the process. */
export class Tunnels {
  readonly #open = new Set<Tunnel>();
  readonly #checks: LiveChecks;
  #isDraining = false;

  constructor(checks: LiveChecks) {
    this.#checks = checks;
  }

  /** Number of open connections. */
  get size(): number {
    return this.#open.size;
  }

  /** Looks after a connection until it ends. */
  enter(tunnel: Tunnel, stillAllowed: LiveAnswer["stillAllowed"]): void {
    const answer: LiveAnswer = { stillAllowed, finishFor: (refusal) => closeFor(tunnel, refusal) };
    this.#open.add(tunnel);
    this.#checks.enter(answer);
    void tunnel.ended.then(() => {
      this.#open.delete(tunnel);
      this.#checks.leave(answer);
    });
    if (this.#isDraining) tunnel.close(1001, "draining");
  }

  /** Ends all, now and from now on: the process stops. */
  drain(): void {
    this.#isDraining = true;
    for (const tunnel of this.#open) tunnel.close(1001, "draining");
  }
}

/** Close codes of design.md 8. */
function closeFor(tunnel: Tunnel, { code }: Refusal): void {
  tunnel.close(code === "link_disabled" ? 4403 : 4401, code.replaceAll("_", " "));
}
