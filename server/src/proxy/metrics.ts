import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** What is measured of one finished request. */
export interface MeasuredRequest {
  /** Link id; "" = no such link. */
  readonly linkId: string;
  /** `ok`, or the code of the refusal. */
  readonly outcome: string;
  readonly status: number;
  readonly durationMs: number;
}

/** Prometheus metrics of the data plane. */
export interface ProxyMetrics {
  began(): void;
  finished(request: MeasuredRequest): void;
  /** An upstream sent a link's hidden credential back; it was blanked. */
  echoed(linkId: string, times: { readonly head: number; readonly body: number }): void;
}

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Series of one counter kept by name; later links are counted together. Bounds what a scrape carries. */
const SERIES_MAX = 10_000;

/** Counts of one link and outcome, by hundreds of the status. */
type StatusCounts = [number, number, number, number, number, number];

/** Registers the data plane's metrics. Requests are tallied in plain numbers and handed over at each scrape. */
export function createProxyMetrics(registry: Registry): ProxyMetrics {
  const byLink = new Map<string, Map<string, StatusCounts>>();
  let series = 0;
  let inFlight = 0;
  new Counter({
    name: "conduit_proxy_requests_total",
    help: "Answered requests by link, outcome (ok or the refusal's code) and status class",
    labelNames: ["link", "outcome", "status_class"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, requests } of seriesOf(byLink)) this.inc(labels, requests);
    },
  });
  new Gauge({
    name: "conduit_proxy_requests_in_flight",
    help: "Requests being answered",
    registers: [registry],
    collect() {
      this.set(inFlight);
    },
  });
  const echoes = new Counter({
    name: "conduit_proxy_credential_echoes_total",
    help: "Hidden credentials that upstreams sent back and that were blanked, by link and place (head, body)",
    labelNames: ["link", "place"],
    registers: [registry],
  });
  const echoingLinks = new Set<string>();
  const duration = new Histogram({
    name: "conduit_proxy_request_duration_seconds",
    help: "From the request's head to the answer's last byte",
    buckets: BUCKETS_SECONDS,
    registers: [registry],
  });

  function countsOf(linkId: string, outcome: string): StatusCounts {
    const known = byLink.get(linkId)?.get(outcome);
    if (known !== undefined) return known;
    if (series >= SERIES_MAX && linkId !== "") return countsOf("", outcome);
    series += 1;
    const counts: StatusCounts = [0, 0, 0, 0, 0, 0];
    const byOutcome = byLink.get(linkId) ?? new Map<string, StatusCounts>();
    byLink.set(linkId, byOutcome.set(outcome, counts));
    return counts;
  }

  return {
    began() {
      inFlight += 1;
    },
    echoed(linkId, { head, body }) {
      const link = echoingLinks.size < SERIES_MAX || echoingLinks.has(linkId) ? linkId : "";
      echoingLinks.add(link);
      if (head > 0) echoes.inc({ link, place: "head" }, head);
      if (body > 0) echoes.inc({ link, place: "body" }, body);
    },
    finished({ linkId, outcome, status, durationMs }) {
      inFlight -= 1;
      duration.observe(durationMs / 1000);
      const statusClass = Math.min(5, Math.floor(status / 100)) as 0 | 1 | 2 | 3 | 4 | 5;
      countsOf(linkId, outcome)[statusClass] += 1;
    },
  };
}

function* seriesOf(byLink: ReadonlyMap<string, ReadonlyMap<string, StatusCounts>>) {
  for (const [link, byOutcome] of byLink) {
    for (const [outcome, counts] of byOutcome) {
      for (const [statusClass, requests] of counts.entries()) {
        if (requests > 0) yield { labels: { link, outcome, status_class: `${statusClass}xx` }, requests };
      }
    }
  }
}
