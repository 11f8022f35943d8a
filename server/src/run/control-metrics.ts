import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { SnapshotReason } from "../config-log/frames.ts";
import type { HubObserver } from "../config-log/observer.ts";

/** Each reason counts from 0, so that the first one that happens is seen as a rise. */
const REASONS: Readonly<Record<SnapshotReason, 0>> = {
  cold_start: 0,
  compacted: 0,
  epoch_changed: 0,
  client_ahead: 0,
  digest_mismatch: 0,
  too_far_behind: 0,
};

/**
 * Registers the control plane's metrics and returns what counts them.
 * @param headSequence read at each scrape
 */
export function createControlMetrics(registry: Registry, headSequence: () => number): HubObserver {
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name: `conduit_control_${name}`, help, labelNames: [...labelNames], registers });
  const gauge = (name: string, help: string) => new Gauge({ name: `conduit_control_${name}`, help, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `conduit_control_${name}`, help, buckets, registers });

  new Gauge({
    name: "conduit_control_config_sequence",
    help: "Sequence at the head of the configuration log, as this replica has read it",
    registers,
    collect() {
      this.set(headSequence());
    },
  });
  const lag = histogram(
    "config_tail_lag_seconds",
    "From a change's commit, by the database's clock, to this replica having read it",
    [0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 30],
  );
  const streams = gauge("config_streams", "Proxies' streams that are open at this replica");
  const resumes = counter("config_resumes_total", "Streams that went on from their cursor");
  const resyncs = counter("config_resyncs_total", "Streams that began with a snapshot, by why", ["reason"]);
  for (const reason of Object.keys(REASONS)) resyncs.inc({ reason }, 0);
  const bytes = counter("config_sent_bytes_total", "Bytes handed to streams");
  const fallOffs = counter(
    "config_fall_offs_total",
    "Streams ended because their readers were slower than the log in memory",
  );
  const refusals = counter(
    "config_refused_streams_total",
    "Streams refused because too many snapshots were asked for at once",
  );
  const build = histogram(
    "config_snapshot_build_seconds",
    "Time to make a snapshot",
    [0.01, 0.05, 0.2, 0.5, 1, 2, 5, 10, 30],
  );
  const snapshotBytes = gauge("config_snapshot_bytes", "Size of the last snapshot that was made");
  const unasked = counter("config_unnotified_reads_total", "Changes found by looking, without a notification");
  return {
    streamBegan(reason) {
      streams.inc();
      if (reason === undefined) resumes.inc();
      else resyncs.inc({ reason });
    },
    streamEnded: () => streams.dec(),
    sent: (count) => bytes.inc(count),
    fellOff: () => fallOffs.inc(),
    refused: () => refusals.inc(),
    snapshotBuilt(durationMs, size) {
      build.observe(durationMs / 1_000);
      snapshotBytes.set(size);
    },
    read: (lagMs) => lag.observe(lagMs / 1_000),
    foundUnasked: () => unasked.inc(),
  };
}
