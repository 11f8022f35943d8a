import type { WatchConfigResponse } from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Random } from "../../random.ts";
import { msFromDuration } from "../../wire/time.ts";
import type { ConfigReceiver } from "./apply.ts";
import { backoffMs, fraction } from "./backoff.ts";
import type { ConfigStream, ControlClient } from "./control-client.ts";

export interface SubscriberOptions {
  /** One per control plane address; tried in turn. At least one. */
  readonly clients: readonly ControlClient[];
  readonly receiver: ConfigReceiver;
  readonly proxyVersion: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** After every event that changed the state. */
  readonly onApplied: () => void;
  /** After the greeting of a new stream. */
  readonly onConnected: (client: ControlClient) => void;
}

/** State of the stream, for people. */
export interface SubscriberStatus {
  readonly isConnected: boolean;
  /** Since the last event; undefined = there was none. */
  readonly silentMs: number | undefined;
}

/** A stream that shows no sign of life for this many heartbeat intervals is dead, whatever TCP says. */
const MISSED_HEARTBEATS = 3;
/** Until the greeting has said how often heartbeats come. */
const GREETING_MAX_MS = 10_000;
const HEARTBEAT_DEFAULT_MS = 10_000;

/**
 * Follows the configuration stream for as long as the process runs: resumes where the receiver is, reconnects with full
 * jitter to the next address, and never clears anything when the control plane is away (fail-static).
 */
export class ConfigSubscriber {
  readonly #options: SubscriberOptions;
  readonly #instanceId: string;
  #stream: ConfigStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #next = 0;
  #failures = 0;
  #heartbeatMs = HEARTBEAT_DEFAULT_MS;
  #isGreeted = false;
  #isStopped = false;
  #lastEventMs: number | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#instanceId = options.random.uuid();
  }

  start(): void {
    const { clients, receiver, proxyVersion } = this.#options;
    const client = clients[this.#next % clients.length];
    if (client === undefined || this.#isStopped) return;
    this.#next += 1;
    this.#isGreeted = false;
    const { cursor } = receiver;
    const resumeFrom = cursor && { epoch: cursor.epoch, sequence: cursor.sequence, stateDigest: cursor.digest };
    const request = { proxyVersion, instanceId: this.#instanceId, ...(resumeFrom && { resumeFrom }) };
    this.#stream = client.watch(request, {
      onEvent: (event) => this.#receive(event, client),
      onEnd: (cause) => this.#reconnect("the configuration stream ended", cause),
    });
    this.#watch(GREETING_MAX_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  status(): SubscriberStatus {
    const silentMs = this.#lastEventMs === undefined ? undefined : this.#options.clock.monotonic() - this.#lastEventMs;
    return { isConnected: this.#isGreeted, silentMs };
  }

  #receive(response: WatchConfigResponse, client: ControlClient): void {
    const { receiver, clock, onApplied, onConnected } = this.#options;
    this.#lastEventMs = clock.monotonic();
    const { event } = response;
    if (event.case === "drain") {
      this.#drain(msFromDuration(event.value.reconnectWithin) ?? 0);
      return;
    }
    const applied = receiver.receive(response);
    if (applied.result === "resync") {
      this.#reconnect("the configuration stream is started anew", new Error(applied.why));
      return;
    }
    if (event.case === "hello") {
      this.#isGreeted = true;
      this.#failures = 0;
      this.#heartbeatMs = msFromDuration(event.value.heartbeatInterval) || HEARTBEAT_DEFAULT_MS;
      onConnected(client);
    }
    this.#watch(MISSED_HEARTBEATS * this.#heartbeatMs);
    if (applied.result === "applied") onApplied();
  }

  /** The replica goes away: the proxies leave it one by one instead of all at its end. */
  #drain(withinMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#close();
      this.start();
    }, fraction(this.#options.random) * withinMs);
  }

  #watch(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reconnect("the configuration stream fell silent", undefined), timeoutMs);
  }

  #reconnect(message: string, err: Error | undefined): void {
    if (this.#isStopped) return;
    this.#close();
    this.#failures += 1;
    const pauseMs = backoffMs(this.#failures, this.#options.random);
    this.#options.log.warn({ err, pause_ms: pauseMs }, `${message}; serving goes on with what is known`);
    this.#timer = setTimeout(() => this.start(), pauseMs);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#isGreeted = false;
  }
}
