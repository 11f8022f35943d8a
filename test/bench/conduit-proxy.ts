// Process: our proxy with its whole pipeline and a configuration made by hand, without a control plane.
// Arguments: the upstream's port, the link token's text, and the log level (`info` writes an access log line a request).
import { pino } from "pino";
import { Registry } from "prom-client";
import { systemClock } from "../../server/src/clock.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { listenProxy } from "../../server/src/listen/proxy.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { createFetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import { createResolver } from "../../server/src/outbound/resolver.ts";
import { createUpstreamClients } from "../../server/src/outbound/upstream-client.ts";
import { createClientAddress } from "../../server/src/policy/trusted-proxies.ts";
import { CompiledLinks } from "../../server/src/proxy/config/compiled-links.ts";
import type { OpenedResource } from "../../server/src/proxy/config/resource-set.ts";
import {
  createHttpHandlers,
  PROXY_MAX_HEADERS_COUNT,
  proxyServerOptions,
} from "../../server/src/proxy/http-adapter.ts";
import { LimitTable } from "../../server/src/proxy/limit-table.ts";
import { LiveAnswers } from "../../server/src/proxy/live-answers.ts";
import { LiveChecks } from "../../server/src/proxy/live-checks.ts";
import { createProxyMetrics } from "../../server/src/proxy/metrics.ts";
import { createPipeline } from "../../server/src/proxy/pipeline.ts";
import { headlessRefusal } from "../../server/src/proxy/refusal-answer.ts";
import { createUpstreamPools } from "../../server/src/proxy/upstream/pools.ts";
import { UsageCounter } from "../../server/src/proxy/usage/usage-counter.ts";
import { Tunnels } from "../../server/src/proxy/websocket/tunnels.ts";
import { systemRandom } from "../../server/src/random.ts";
import { benchIssuer, benchLink, benchLinkToken, SECRET_NAME } from "./bench-link.ts";
import { serveParent } from "./messages.ts";

const [upstreamPort = "", linkToken = "", level = "warn"] = process.argv.slice(2);
const link = benchLink(`http://127.0.0.1:${upstreamPort}`);
const issuer = benchIssuer(`http://127.0.0.1:${upstreamPort}/jwks.json`);
const token = benchLinkToken(linkToken);
const resources: readonly OpenedResource[] = [
  {
    kind: "secret",
    name: SECRET_NAME,
    secret: { current: new SecretText("sk_bench_0123456789abcdef0123456789abcdef") },
  },
  { kind: "issuer", name: issuer.name, issuer },
  { kind: "link", name: link.name, link },
  { kind: "link_token", name: token.name, linkToken: token },
];

const [clock, random] = [systemClock, systemRandom];
const log = pino({ level }, pino.destination({ dest: "/dev/null", sync: true }));
const dial = createDialer(createResolver({ clock }));
const config = new CompiledLinks(new JwksSources({ fetchJson: createFetchJson(dial), clock, log }));
config.apply(resources.map((resource) => ({ kind: resource.kind, name: resource.name, version: 1n, resource })));
if (config.rejected().length > 0) throw new Error(JSON.stringify(config.rejected()));
config.becomeReady("00000000-0000-4000-8000-000000000000");

const liveChecks = new LiveChecks(clock);
const serve = createPipeline({
  config,
  clientAddress: createClientAddress([]),
  limits: new LimitTable(clock),
  pools: createUpstreamPools(createUpstreamClients(dial)),
  live: new LiveAnswers(liveChecks),
  tunnels: new Tunnels(liveChecks),
  recorders: { log, metrics: createProxyMetrics(new Registry()), usage: new UsageCounter(), clock },
  clock,
  random,
  log,
});
const { address } = await listenProxy({
  host: "127.0.0.1",
  port: 0,
  handlers: createHttpHandlers(serve, (cause) => headlessRefusal(cause, random.uuid())),
  serverOptions: proxyServerOptions(),
  maxHeadersCount: PROXY_MAX_HEADERS_COUNT,
});
serveParent(address.port);
