import type { WatchConfigResponse } from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { Clock } from "../../clock.ts";
import { JwksSources } from "../../jwt/jwks.ts";
import type { Log } from "../../log.ts";
import type { IssuerKeyStatus } from "../../model/issuer.ts";
import type { RejectedResource } from "../../model/proxy.ts";
import type { SecretText } from "../../model/secret-text.ts";
import type { FetchJson } from "../../outbound/capped-fetch.ts";
import { RevocationIndex } from "../../policy/revocation.ts";
import type { Random } from "../../random.ts";
import { timestampFromMs } from "../../wire/time.ts";
import type { ServedConfig } from "../served-link.ts";
import type { UsageBatch } from "../usage/usage-reporter.ts";
import { ConfigReceiver } from "./apply.ts";
import { CompiledLinks } from "./compiled-links.ts";
import type { ConfigMeter } from "./config-meter.ts";
import { type ControlAddress, type ControlClient, createControlClient } from "./control-client.ts";
import { CredentialRotation, type HeldCredential } from "./credential-rotation.ts";
import { Currency } from "./currency.ts";
import { DiskSnapshot, type Written } from "./disk-snapshot.ts";
import { inSlices, type Steps } from "./slices.ts";
import { HeldState } from "./state.ts";
import { StatusReporter } from "./status-reporter.ts";
import { ConfigSubscriber } from "./subscriber.ts";

export interface ConfigPlaneOptions extends HeldCredential {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetchJson: FetchJson;
  /** Replicas of the control plane; at least one. */
  readonly controls: readonly ControlAddress[];
  readonly proxyVersion: string;
  readonly meter: ConfigMeter;
  /** Refuse everything when the configuration is not known to be younger. Default: serve with what is known. */
  readonly maxConfigAgeMs?: number | undefined;
  /** Holds the sealed snapshot; undefined = nothing is kept on disk. */
  readonly dataDir?: string;
}

/** State of the configuration, for people and metrics. */
export interface ConfigStatus {
  readonly isReady: boolean;
  readonly isConnected: boolean;
  /** The control plane has said that it wants no more of this proxy. */
  readonly isRevoked: boolean;
  /** Since the last sign of life of the control plane; undefined = there was none. */
  readonly silentMs: number | undefined;
  /** Age of the open stream; undefined = none is. */
  readonly streamMs: number | undefined;
  readonly sequence: bigint;
  /** Since it was known to be current; Infinity = never. */
  readonly ageMs: number;
  /** Changes known of and not applied. */
  readonly lagSequences: number;
  /** From the commit of the last change to its being in force. */
  readonly delayMs: number;
  readonly links: number;
  readonly rejected: readonly RejectedResource[];
  readonly issuerKeys: readonly IssuerKeyStatus[];
}

const TICK_MS = 5_000;

/**
 * So old the configuration of a revoked proxy may become, if it may not be less. It gets no revocations any more, so it must
 * not go on letting users in; balancers have this time to see that it is not ready.
 */
const REVOKED_MAX_AGE_MS = 5 * 60_000;

/** gRPC `INVALID_ARGUMENT`: the same batch will never be taken. */
const NEVER_TAKEN = 3;

/** The proxy's end of the control plane: keeps the configuration, reports what was applied and used. */
export class ConfigPlane {
  readonly config: ServedConfig;
  readonly #options: ConfigPlaneOptions;
  readonly #jwksSources: JwksSources;
  readonly #links: CompiledLinks;
  readonly #receiver: ConfigReceiver;
  readonly #clients: readonly ControlClient[];
  readonly #subscriber: ConfigSubscriber;
  readonly #reporter: StatusReporter;
  readonly #disk: DiskSnapshot | undefined;
  readonly #rotation: CredentialRotation;
  readonly #whenReady: (() => void)[] = [];
  #current: ControlClient | undefined;
  #tick: NodeJS.Timeout | undefined;
  #seedsBefore = "";
  #isChecking = false;
  #isRevoked = false;

  constructor(options: ConfigPlaneOptions) {
    const { clock, random, log, fetchJson, controls, proxyVersion, dataDir, meter } = options;
    this.#options = options;
    this.#jwksSources = new JwksSources({ fetchJson, clock, log });
    const currency = new Currency(clock);
    const maxAgeMs = (): number => this.#maxAgeMs();
    const age = {
      ageMs: () => currency.ageMs(),
      get maxAgeMs() {
        return maxAgeMs();
      },
    };
    this.#links = new CompiledLinks(this.#jwksSources, new RevocationIndex(random.bytes(16)), age);
    this.config = this.#links;
    const receiver = new ConfigReceiver(this.#links, clock, currency);
    this.#receiver = receiver;
    const reseal = async (credential: SecretText) => (await this.#disk?.reseal(credential)) ?? true;
    this.#rotation = new CredentialRotation(options, { random, log, reseal });
    this.#clients = controls.map((control) => createControlClient(control, () => this.#rotation.sent, clock));
    const onRotationDue = (client: ControlClient) => void this.#rotation.rotate(client);
    this.#reporter = new StatusReporter(proxyVersion, { log, random, onRotationDue }, () => ({
      // An acknowledgement says that nothing in it was rejected without a word.
      cursor: this.#links.isChecked ? receiver.cursor : undefined,
      rejected: this.#links.rejected(),
      issuerKeys: this.#jwksSources.status(),
    }));
    this.#subscriber = new ConfigSubscriber({
      ...{ clients: this.#clients, receiver, proxyVersion, clock, random, log, meter },
      onApplied: (event) => this.#applied(event),
      onConnected: (client) => this.#connected(client),
      onRefused: (reason, client) => this.#refused(reason, client),
    });
    if (dataDir === undefined) return;
    this.#disk = new DiskSnapshot({
      ...{ dataDir, credential: options.credential, nextCredential: options.nextCredential, random, clock, log },
      current: () => this.#written(),
      onFailure: () => meter.diskFailed(),
    });
  }

  /** Takes the configuration from disk if there is one, and begins to follow the control plane. */
  async start(): Promise<void> {
    const stored = await this.#disk?.read(new HeldState(this.#links.revocations.emptyTwin()));
    if (stored !== undefined) {
      await this.#receiver.restore(stored.fleet, stored.state);
      this.#receiver.currency.restored(stored.state.cursor?.sequence ?? 0n, stored.provenTimeMs);
      for (const seed of stored.jwksSeeds) this.#jwksSources.seed(seed);
      this.#options.log.info({ links: this.#links.size }, "serving from the configuration kept on disk");
      this.#inForce();
    }
    this.#subscriber.start();
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
  }

  /** Resolves when there is a configuration to serve by. */
  whenReady(): Promise<void> {
    if (this.#links.isReady) return Promise.resolve();
    return new Promise((resolve) => this.#whenReady.push(resolve));
  }

  /** Sends counts to the replica that the stream is open to; rejects when it does not acknowledge them. */
  async sendUsage({ batchId, increments }: UsageBatch): Promise<void> {
    const client = this.#current;
    if (client === undefined) throw new Error("no control plane is connected");
    const rows = increments.map(({ minuteMs, requests, link, subject, outcome, statusClass }) => {
      const minute = timestampFromMs(minuteMs);
      return { ...(minute && { minute }), link, subject, outcome, statusClass, requests: BigInt(requests) };
    });
    await client.reportUsage({ batchId, increments: rows }).catch((err: unknown) => {
      if ((err as { code?: number }).code !== NEVER_TAKEN) throw err;
      this.#options.log.error({ err }, "the control plane refuses a batch of usage counts; it is given up");
    });
  }

  status(): ConfigStatus {
    const { currency } = this.#receiver;
    return {
      ...this.#subscriber.status(),
      ...{ isReady: this.#links.isReady, isRevoked: this.#isRevoked, links: this.#links.size },
      ...{ ageMs: currency.ageMs(), lagSequences: currency.lagSequences(), delayMs: currency.delayMs() },
      sequence: this.#receiver.cursor?.sequence ?? 0n,
      rejected: this.#links.rejected(),
      issuerKeys: this.#jwksSources.status(),
    };
  }

  /** Ends the stream and keeps the configuration on disk. The connections stay open for the last counts: `close`. */
  async stop(): Promise<void> {
    clearInterval(this.#tick);
    this.#subscriber.stop();
    this.#reporter.stop();
    this.#jwksSources.close();
    await this.#disk?.close();
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #applied({ event }: WatchConfigResponse): void {
    const { cursor } = this.#receiver;
    if (event.case === "delta" && cursor !== undefined) this.#disk?.deltaApplied(event.value, cursor.digest);
    else this.#disk?.wholeChanged();
    this.#inForce();
  }

  #inForce(): void {
    this.#reporter.stateChanged();
    for (const resolve of this.#whenReady.splice(0)) resolve();
    if (!this.#links.isChecked && !this.#isChecking) void this.#check();
  }

  /** Compiles what came with a whole state, so that what cannot be is reported before anyone asks for it. */
  async #check(): Promise<void> {
    this.#isChecking = true;
    await inSlices(checks(this.#links), this.#options.clock);
    this.#isChecking = false;
    this.#reporter.stateChanged();
  }

  #maxAgeMs(): number {
    const maxAgeMs = this.#options.maxConfigAgeMs ?? Number.POSITIVE_INFINITY;
    return this.#isRevoked ? Math.min(maxAgeMs, REVOKED_MAX_AGE_MS) : maxAgeMs;
  }

  #refused(reason: string, client: ControlClient): void {
    // The old credential counts no more when a rotation was cut short after the next was used.
    if (reason === "CREDENTIAL_INVALID" && this.#rotation.isUnfinished) void this.#rotation.rotate(client);
    if (reason !== "PROXY_REVOKED") return;
    this.#isRevoked = true;
    const maxAgeSeconds = this.#maxAgeMs() / 1000;
    this.#options.log.error(
      { max_age_seconds: maxAgeSeconds },
      "THIS PROXY HAS BEEN REVOKED: it gets no configuration any more, is not ready, and refuses everything once what it has is too old",
    );
  }

  #connected(client: ControlClient): void {
    this.#isRevoked = false;
    if (this.#rotation.isUnfinished) void this.#rotation.rotate(client);
    this.#current = client;
    this.#reporter.reportTo(client);
  }

  #onTick(): void {
    this.#jwksSources.retain(this.#links.issuerNames());
    this.#jwksSources.refreshDue();
    this.#reporter.keysMayHaveChanged();
    const isConnected = this.#subscriber.status().isConnected;
    if (isConnected && this.#current !== undefined && this.#rotation.isUnfinished)
      void this.#rotation.rotate(this.#current);
    const provenTimeMs = this.#receiver.currency.provenTimeMs();
    if (provenTimeMs !== undefined) this.#disk?.proven(provenTimeMs);
    const seeds = this.#jwksSources.seedsMark();
    if (seeds !== this.#seedsBefore) this.#disk?.seedsChanged(this.#jwksSources.toSeeds());
    this.#seedsBefore = seeds;
  }

  #written(): Written | undefined {
    const { fleet, state, currency } = this.#receiver;
    if (fleet === undefined) return undefined;
    return { fleet, state, jwksSeeds: this.#jwksSources.toSeeds(), provenTimeMs: currency.provenTimeMs() ?? 0 };
  }
}

function* checks(links: CompiledLinks): Steps<void> {
  while (links.checkNext()) yield;
}
