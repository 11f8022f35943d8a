import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ConfigMeter } from "./config/config-meter.ts";

/** State of the configuration, read at each scrape. */
export interface MeasuredConfig {
  readonly isConnected: boolean;
  readonly silentMs: number | undefined;
  readonly streamMs: number | undefined;
  readonly sequence: bigint;
  readonly ageMs: number;
  readonly lagSequences: number;
  readonly delayMs: number;
  readonly links: number;
  readonly rejected: readonly unknown[];
}

const APPLY_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30];

const GAUGES: readonly (readonly [name: string, help: string, value: (config: MeasuredConfig) => number])[] = [
  ["connected", "1 while the configuration stream is open", ({ isConnected }) => Number(isConnected)],
  ["age_seconds", "Since the control plane's last sign of life", ({ silentMs }) => (silentMs ?? Number.NaN) / 1000],
  [
    "stream_age_seconds",
    "Age of the open stream; NaN = none is open",
    ({ streamMs }) => (streamMs ?? Number.NaN) / 1000,
  ],
  [
    "current_age_seconds",
    "Since the configuration in force was known to be the current one",
    ({ ageMs }) => ageMs / 1000,
  ],
  ["sequence", "Sequence of the configuration in force", ({ sequence }) => Number(sequence)],
  ["lag_sequences", "Changes known of and not in force", ({ lagSequences }) => lagSequences],
  [
    "lag_seconds",
    "From the commit of the last change to its being in force, by both clocks",
    ({ delayMs }) => delayMs / 1000,
  ],
  ["links", "Links served", ({ links }) => links],
  ["rejected", "Resources held in an older version", ({ rejected }) => rejected.length],
];

/** Registers what is measured of the configuration; the answer counts what happens to it. */
export function createConfigMetrics(registry: Registry, read: () => MeasuredConfig): ConfigMeter {
  for (const [name, help, value] of GAUGES) {
    new Gauge({
      name: `conduit_proxy_config_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value(read()));
      },
    });
  }
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: `conduit_proxy_config_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const bytes = counter("received_bytes_total", "Bytes of configuration received");
  const resyncs = counter("resyncs_total", "Whole states sent or asked for anew, by reason", ["reason"]);
  const diskFailures = counter("disk_failures_total", "Times the disk refused to keep the configuration");
  const applied = new Histogram({
    name: "conduit_proxy_config_apply_seconds",
    help: "From a change's arrival to its being in force",
    buckets: APPLY_BUCKETS_SECONDS,
    registers: [registry],
  });
  return {
    received: (count) => bytes.inc(count),
    applied: (ms) => applied.observe(ms / 1000),
    resync: (reason) => resyncs.inc({ reason }),
    diskFailed: () => diskFailures.inc(),
  };
}
