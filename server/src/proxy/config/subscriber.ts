import {
  type Hello,
  Hello_Mode,
  Hello_SnapshotReason,
  type WatchConfigResponse,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Random } from "../../random.ts";
import { msFromDuration } from "../../wire/time.ts";
import type { Applied, ConfigReceiver } from "./apply.ts";
import { backoffMs, fraction } from "./backoff.ts";
import type { ConfigMeter } from "./config-meter.ts";
import type { ConfigStream, ControlClient } from "./control-client.ts";
import { refusalReasonOf } from "./refusal-reason.ts";

export interface SubscriberOptions {
  /** One per control plane address; tried in turn. At least one. */
  readonly clients: readonly ControlClient[];
  readonly receiver: ConfigReceiver;
  readonly proxyVersion: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meter: ConfigMeter;
  /** After every event that changed the state. */
  readonly onApplied: (event: WatchConfigResponse) => void;
  /** After the greeting of a new stream. */
  readonly onConnected: (client: ControlClient) => void;
  /** The control plane has refused us, with this `ErrorInfo.reason`; it is asked again all the same. */
  readonly onRefused: (reason: string, client: ControlClient) => void;
}

/** State of the stream, for people. */
export interface SubscriberStatus {
  readonly isConnected: boolean;
  /** Since the last event; undefined = there was none. */
  readonly silentMs: number | undefined;
  /** Age of the open stream; undefined = none is. */
  readonly streamMs: number | undefined;
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
  /** Silence, or the pause before the next attempt. */
  #timer: NodeJS.Timeout | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  /** An event that is being applied. */
  #applying: Promise<void> | undefined;
  #next = 0;
  #failures = 0;
  #heartbeatMs = HEARTBEAT_DEFAULT_MS;
  #isGreeted = false;
  #isStopped = false;
  #lastEventMs: number | undefined;
  #openedMs = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#instanceId = options.random.uuid();
  }

  start(): void {
    if (this.#applying === undefined) this.#open();
    // What came last by the old stream decides where the new one goes on.
    else void this.#applying.then(() => this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#close();
  }

  status(): SubscriberStatus {
    const nowMs = this.#options.clock.monotonic();
    return {
      isConnected: this.#isGreeted,
      silentMs: this.#lastEventMs === undefined ? undefined : nowMs - this.#lastEventMs,
      streamMs: this.#isGreeted ? nowMs - this.#openedMs : undefined,
    };
  }

  #open(): void {
    const { clients, receiver, proxyVersion, meter, clock } = this.#options;
    const client = clients[this.#next % clients.length];
    if (client === undefined || this.#isStopped || this.#stream !== undefined) return;
    this.#next += 1;
    this.#openedMs = clock.monotonic();
    const { cursor } = receiver;
    const resumeFrom = cursor && { epoch: cursor.epoch, sequence: cursor.sequence, stateDigest: cursor.digest };
    const request = { proxyVersion, instanceId: this.#instanceId, ...(resumeFrom && { resumeFrom }) };
    const stream = client.watch(request, {
      onEvent: (event) => this.#receive(event, client, stream),
      onBytes: (count) => meter.received(count),
      onEnd: (cause) => {
        this.#reconnect("the configuration stream ended", cause);
        const reason = refusalReasonOf(cause);
        if (reason !== undefined) this.#options.onRefused(reason, client);
      },
    });
    this.#stream = stream;
    this.#watch(GREETING_MAX_MS);
  }

  /** A promise while a large event is being applied: the stream waits for it. */
  #receive(event: WatchConfigResponse, client: ControlClient, stream: ConfigStream): void | Promise<void> {
    const { receiver, clock, meter } = this.#options;
    const startMs = clock.monotonic();
    this.#lastEventMs = startMs;
    // Our own work is no silence of the control plane's.
    clearTimeout(this.#timer);
    const settle = (applied: Applied) => {
      if (applied.result === "applied") meter.applied(clock.monotonic() - startMs);
      this.#settle(applied, event, client, this.#stream === stream);
    };
    const failed = (err: unknown) => this.#reconnect("a change could not be applied", err);
    try {
      const applied = receiver.receive(event);
      if (!(applied instanceof Promise)) return settle(applied);
      this.#applying = applied.then(settle, failed).finally(() => {
        this.#applying = undefined;
      });
      return this.#applying;
    } catch (err) {
      return failed(err);
    }
  }

  #settle(applied: Applied, response: WatchConfigResponse, client: ControlClient, isOpen: boolean): void {
    const { onApplied, onConnected, meter } = this.#options;
    const { event } = response;
    if (applied.result === "applied") onApplied(response);
    if (applied.result === "resync") meter.resync(applied.kind);
    if (!isOpen) return;
    if (applied.result === "resync") {
      this.#reconnect("the configuration stream is started anew", new Error(applied.why));
      return;
    }
    if (event.case === "hello") {
      this.#isGreeted = true;
      this.#heartbeatMs = msFromDuration(event.value.heartbeatInterval) || HEARTBEAT_DEFAULT_MS;
      if (event.value.mode !== Hello_Mode.RESUME) meter.resync(snapshotReasonOf(event.value));
      onConnected(client);
    } else if (event.case !== "snapshot" || applied.result === "applied") {
      // Not for the parts of a snapshot: one that is refused at its end would be asked for again without a pause.
      this.#failures = 0;
    }
    this.#watch(MISSED_HEARTBEATS * this.#heartbeatMs);
    if (event.case === "drain") this.#drain(msFromDuration(event.value.reconnectWithin) ?? 0);
  }

  /** The replica goes away: the proxies leave it one by one instead of all at its end. */
  #drain(withinMs: number): void {
    clearTimeout(this.#drainTimer);
    this.#drainTimer = setTimeout(() => {
      this.#close();
      this.start();
    }, fraction(this.#options.random) * withinMs);
  }

  #watch(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reconnect("the configuration stream fell silent", undefined), timeoutMs);
  }

  #reconnect(message: string, err: unknown): void {
    if (this.#isStopped) return;
    this.#close();
    this.#failures += 1;
    const pauseMs = backoffMs(this.#failures, this.#options.random);
    this.#options.log.warn({ err, pause_ms: pauseMs }, `${message}; serving goes on with what is known`);
    this.#timer = setTimeout(() => this.start(), pauseMs);
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#drainTimer);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#isGreeted = false;
  }
}

/** Why the control plane sends a snapshot, in small letters: `cold_start`, `compacted`, … */
const snapshotReasonOf = ({ snapshotReason }: Hello): string =>
  Object.entries(Hello_SnapshotReason)
    .find(([, value]) => value === snapshotReason)?.[0]
    .toLowerCase() ?? "unspecified";
