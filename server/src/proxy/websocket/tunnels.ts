import type { Clock } from "../../clock.ts";
import type { Refusal } from "../../judge/refusal.ts";
import type { ServedConfig } from "../served-link.ts";
import type { CloseCode } from "./frames.ts";
import type { Tunnel } from "./tunnel.ts";

/** How often open connections are judged again: a revoked or expired token ends them within this time. */
const CHECK_MS = 500;

/** Whether the user of a connection may go on, by the clock and the revocations; a `Refusal` says no. */
export type StillAllowed = (nowMs: number) => Refusal | undefined;

interface OpenTunnel {
  readonly tunnel: Tunnel;
  readonly linkId: string;
  readonly stillAllowed: StillAllowed;
}

/** The open WebSocket connections. A token is judged once at a handshake; here it is judged again while it is used. */
export class Tunnels {
  readonly #open = new Set<OpenTunnel>();
  readonly #config: ServedConfig;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(config: ServedConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** Number of open connections. */
  get size(): number {
    return this.#open.size;
  }

  /** Looks after a connection until it ends. */
  enter(tunnel: Tunnel, linkId: string, stillAllowed: StillAllowed): void {
    const entry = { tunnel, linkId, stillAllowed };
    this.#open.add(entry);
    this.#timer ??= setInterval(() => this.#checkAll(), CHECK_MS);
    void tunnel.ended.then(() => this.#leave(entry));
    if (this.#isDraining) tunnel.close(1001, "draining");
  }

  /** Ends all, now and from now on: the process stops. */
  drain(): void {
    this.#isDraining = true;
    for (const { tunnel } of this.#open) tunnel.close(1001, "draining");
  }

  #leave(entry: OpenTunnel): void {
    this.#open.delete(entry);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #checkAll(): void {
    const nowMs = this.#clock.now();
    for (const { tunnel, linkId, stillAllowed } of this.#open) {
      const verdict = this.#verdictOn(linkId) ?? reasonOf(stillAllowed(nowMs));
      if (verdict !== undefined) tunnel.close(...verdict);
    }
  }

  #verdictOn(linkId: string): [CloseCode, string] | undefined {
    const link = this.#config.link(linkId)?.judged.link;
    const isServed = link?.state === "ACTIVE" && link.allowWebsocket;
    return isServed ? undefined : [4403, "link disabled"];
  }
}

const reasonOf = (refusal: Refusal | undefined): [CloseCode, string] | undefined =>
  refusal === undefined ? undefined : [4401, refusal.code.replaceAll("_", " ")];
