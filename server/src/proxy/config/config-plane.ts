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
import { type ControlAddress, type ControlClient, createControlClient } from "./control-client.ts";
import { createDiskSnapshot, type DiskSnapshot } from "./disk-snapshot.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";
import { StatusReporter } from "./status-reporter.ts";
import { ConfigSubscriber } from "./subscriber.ts";

export interface ConfigPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetchJson: FetchJson;
  readonly credential: SecretText;
  /** Replicas of the control plane; at least one. */
  readonly controls: readonly ControlAddress[];
  readonly proxyVersion: string;
  /** Holds the sealed snapshot; undefined = nothing is kept on disk. */
  readonly dataDir?: string;
}

/** State of the configuration, for people and metrics. */
export interface ConfigStatus {
  readonly isReady: boolean;
  readonly isConnected: boolean;
  /** Since the last sign of life of the control plane; undefined = there was none. */
  readonly silentMs: number | undefined;
  readonly sequence: bigint;
  readonly links: number;
  readonly rejected: readonly RejectedResource[];
  readonly issuerKeys: readonly IssuerKeyStatus[];
}

const TICK_MS = 5_000;

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
  readonly #writer: SnapshotWriter | undefined;
  readonly #whenReady: (() => void)[] = [];
  #current: ControlClient | undefined;
  #tick: NodeJS.Timeout | undefined;
  #seedsBefore = "";

  constructor(options: ConfigPlaneOptions) {
    const { clock, random, log, fetchJson, credential, controls, proxyVersion, dataDir } = options;
    this.#options = options;
    this.#jwksSources = new JwksSources({ fetchJson, clock, log });
    this.#links = new CompiledLinks(this.#jwksSources, new RevocationIndex(random.bytes(16)));
    this.config = this.#links;
    const receiver = new ConfigReceiver(this.#links);
    this.#receiver = receiver;
    this.#clients = controls.map((control) => createControlClient(control, credential, clock));
    this.#reporter = new StatusReporter(proxyVersion, log, () => ({
      cursor: receiver.cursor,
      rejected: this.#links.rejected(),
      issuerKeys: this.#jwksSources.status(),
    }));
    this.#subscriber = new ConfigSubscriber({
      ...{ clients: this.#clients, receiver, proxyVersion, clock, random, log },
      onApplied: () => this.#applied(),
      onConnected: (client) => this.#connected(client),
    });
    if (dataDir === undefined) return;
    this.#disk = createDiskSnapshot(dataDir, credential, random, log);
    this.#writer = new SnapshotWriter(() => this.#writeSnapshot(), clock, log);
  }

  /** Takes the configuration from disk if there is one, and begins to follow the control plane. */
  async start(): Promise<void> {
    const stored = await this.#disk?.read();
    if (stored !== undefined) {
      this.#receiver.restore(stored.fleet, stored.cursor, stored.resources);
      for (const seed of stored.jwksSeeds) this.#jwksSources.seed(seed);
      this.#options.log.info({ links: this.#links.size }, "serving from the configuration kept on disk");
      this.#becameReady();
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
    const { isConnected, silentMs } = this.#subscriber.status();
    return {
      ...{ isReady: this.#links.isReady, isConnected, silentMs, links: this.#links.size },
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
    await this.#writer?.flush();
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #applied(): void {
    this.#reporter.stateChanged();
    this.#writer?.schedule();
    this.#becameReady();
  }

  #connected(client: ControlClient): void {
    this.#current = client;
    this.#reporter.reportTo(client);
  }

  #becameReady(): void {
    for (const resolve of this.#whenReady.splice(0)) resolve();
  }

  #onTick(): void {
    this.#jwksSources.retain(this.#links.issuerNames());
    this.#jwksSources.refreshDue();
    this.#reporter.keysMayHaveChanged();
    const seeds = this.#jwksSources.seedsMark();
    if (seeds !== this.#seedsBefore) this.#writer?.schedule();
    this.#seedsBefore = seeds;
  }

  async #writeSnapshot(): Promise<void> {
    const { fleet, cursor } = this.#receiver;
    if (fleet === undefined || cursor === undefined) return;
    const resources = [...this.#receiver.resources()];
    await this.#disk?.write({ fleet, cursor, resources, jwksSeeds: this.#jwksSources.toSeeds() });
  }
}
