import { Gauge, type Registry } from "prom-client";

/** Registers the control plane's gauges, read at each scrape. */
export function createControlMetrics(registry: Registry, headSequence: () => number): void {
  new Gauge({
    name: "conduit_control_config_sequence",
    help: "Sequence at the head of the configuration log, as this replica has read it",
    registers: [registry],
    collect() {
      this.set(headSequence());
    },
  });
}
