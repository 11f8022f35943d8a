import type { ServerOptions } from "node:http";
import type { Registry } from "prom-client";
import type { Dialer } from "../outbound/dialer.ts";
import { createUpstreamClients } from "../outbound/upstream-client.ts";
import { createClientAddress } from "../policy/trusted-proxies.ts";
import { ConfigPlane, type ConfigPlaneOptions, type ConfigStatus } from "./config/config-plane.ts";
import { createConfigMetrics } from "./config-metrics.ts";
import {
  createHttpHandlers,
  PROXY_MAX_HEADERS_COUNT,
  type ProxyHttpHandlers,
  proxyServerOptions,
  type RefuseHeadless,
} from "./http-adapter.ts";
import { LimitTable } from "./limit-table.ts";
import { LiveAnswers } from "./live-answers.ts";
import { LiveChecks } from "./live-checks.ts";
import { createProxyMetrics } from "./metrics.ts";
import { createPipeline } from "./pipeline.ts";
import { recordHeadless } from "./record.ts";
import { headlessRefusal } from "./refusal-answer.ts";
import type { ServedConfig } from "./served-link.ts";
import { createUpstreamPools } from "./upstream/pools.ts";
import { UsageCounter } from "./usage/usage-counter.ts";
import { UsageReporter } from "./usage/usage-reporter.ts";
import { Tunnels } from "./websocket/tunnels.ts";

export interface DataPlaneOptions extends Omit<ConfigPlaneOptions, "meter"> {
  /** Way to the upstreams, with its address policy. */
  readonly dial: Dialer;
  /** Gets the data plane's metrics. */
  readonly registry: Registry;
  /** Addresses and networks whose `X-Forwarded-For` is believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /** TLS ends in front of this process; said to upstreams in `Forwarded`. Default false. */
  readonly isBehindTls?: boolean;
}

/** The data plane of one process, without its socket: `listen/proxy.ts` opens that. */
export interface DataPlane {
  /** For the listener, as they are. */
  readonly handlers: ProxyHttpHandlers;
  readonly serverOptions: ServerOptions;
  readonly maxHeadersCount: number;
  /** Reads the snapshot on disk and begins to follow the control plane; does not wait for it. */
  start(): Promise<void>;
  /** Resolves when there is a configuration; before, every request is refused with 503 `not_ready`. */
  whenReady(): Promise<void>;
  /** Why nothing is served, in words; undefined = requests are. */
  notReady(): string | undefined;
  status(): ConfigStatus;
  /** When draining begins: ends event streams and WebSockets, which would never end by themselves. */
  drain(): void;
  /** After the listener has drained: reports the last counts, keeps the configuration on disk, closes every connection. */
  stop(): Promise<void>;
}

/** How often pools of links that are gone are looked for. */
const SWEEP_MS = 60_000;

/** @throws ExitError (2) when a trusted proxy is no address or network */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { clock, random, log, registry } = options;
  const meter = createConfigMetrics(registry, () => configPlane.status());
  const configPlane: ConfigPlane = new ConfigPlane({ ...options, meter });
  const usage = new UsageCounter();
  const reporter = new UsageReporter(usage, (batch) => configPlane.sendUsage(batch), random, log);
  const pools = createUpstreamPools(createUpstreamClients(options.dial));
  const liveChecks = new LiveChecks(clock);
  const live = new LiveAnswers(liveChecks);
  const tunnels = new Tunnels(liveChecks);
  const recorders = { log, metrics: createProxyMetrics(registry), usage, clock };
  const serve = createPipeline({
    config: configPlane.config,
    clientAddress: createClientAddress(options.trustedProxies ?? []),
    limits: new LimitTable(clock),
    pools,
    live,
    tunnels,
    recorders,
    clock,
    random,
    log,
  });
  const refuse: RefuseHeadless = (cause) => {
    recordHeadless(cause, recorders);
    return headlessRefusal(cause, random.uuid());
  };
  let sweep: NodeJS.Timeout | undefined;
  return {
    handlers: createHttpHandlers(serve, refuse, { isBehindTls: options.isBehindTls ?? false }),
    serverOptions: proxyServerOptions(),
    maxHeadersCount: PROXY_MAX_HEADERS_COUNT,
    async start() {
      await configPlane.start();
      reporter.start();
      sweep = setInterval(() => pools.sweep(), SWEEP_MS);
    },
    whenReady: () => configPlane.whenReady(),
    notReady: () => notReady(configPlane.config, configPlane.status()),
    status: () => configPlane.status(),
    drain() {
      live.finishAll("draining");
      tunnels.drain();
    },
    async stop() {
      clearInterval(sweep);
      await reporter.stop();
      await configPlane.stop();
      configPlane.close();
      await pools.destroy();
    },
  };
}

function notReady(config: ServedConfig, { isRevoked }: ConfigStatus): string | undefined {
  if (isRevoked) return "this proxy has been revoked";
  if (!config.isReady) return "no configuration yet";
  return config.ageMs() > config.maxAgeMs ? "the configuration is older than --max-config-age" : undefined;
}
