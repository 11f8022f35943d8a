// The data plane without a control plane: hand-built resources, real sockets on both sides.
import { once } from "node:events";
import { createServer, type ServerOptions } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import jsonwebtoken from "jsonwebtoken";
import { pino } from "pino";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../server/src/clock.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import { LINK_DEFAULTS, type Link, type Upstream } from "../../server/src/model/link.ts";
import type { LinkToken } from "../../server/src/model/link-token.ts";
import { revocationEntryOf, revocationStreamName } from "../../server/src/model/revocation.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { generateToken, hashToken } from "../../server/src/model/token-string.ts";
import type { FetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import { createResolver, type Resolve } from "../../server/src/outbound/resolver.ts";
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

export const LINK_ID = "demo-link";
export const LINK_NAME = `projects/demo/links/${LINK_ID}`;
export const ISSUER_NAME = "projects/demo/issuers/app";
export const HIDDEN_KEY = "sk-hidden-4f7a9c21d8";
export const HMAC_SECRET = "an HMAC secret of more than thirty-two bytes: q8Zr1";
export const INSTALLATION_ID = "0123abcd-4567-89ab-cdef-0123456789ab";
/** A publishable token of the demo link. */
export const LINK_TOKEN = generateToken("linkToken", systemRandom).reveal();

export const ISSUER: Issuer = {
  name: ISSUER_NAME,
  displayName: "",
  iss: "https://app.example",
  keys: { kind: "hs256", secret: "projects/demo/secrets/hmac", encoding: "UTF8" },
  algorithms: ["HS256"],
  expLeewayMs: 0,
  clockLeewayMs: 60_000,
  acceptIdTokens: false,
  allowPrivate: false,
};

export const linkTokenOf = (text = LINK_TOKEN, changes: Partial<LinkToken> = {}): LinkToken => ({
  name: `${LINK_NAME}/tokens/main`,
  displayName: "",
  tokenHash: hashToken(text),
  allowedOrigins: [],
  allowedAddresses: [],
  ...changes,
});

export type LinkChanges = Partial<Omit<Link, "upstream">> & { readonly upstream?: Partial<Upstream> };

/** A link that injects a key, wants both credentials and allows every path. */
export function linkOf(baseUrl: string, { upstream, ...changes }: LinkChanges = {}): Link {
  const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, requestBodyMaxBytes } = LINK_DEFAULTS;
  const timeouts = { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs };
  return {
    name: LINK_NAME,
    displayName: "",
    upstream: { baseUrl, allowPrivate: true, ...timeouts, ...upstream },
    injections: [{ kind: "header", name: "X-API-Key", prefix: "", secret: "projects/demo/secrets/key" }],
    issuers: [ISSUER_NAME],
    audiences: [],
    anyAudience: false,
    requireAllAudiences: false,
    requiredClaims: [],
    scopesAny: [],
    scopesAll: [],
    rules: [{ effect: "ALLOW", methods: [], path: "/**", query: {}, claims: [], message: "" }],
    claimHeaders: [LINK_DEFAULTS.claimHeader],
    forwardUserToken: "OFF",
    limits: [],
    cors: { origins: [], headers: [], credentials: false },
    linkTokenMode: "REQUIRED",
    userTokenMode: "REQUIRED",
    debug: "KEY",
    state: "ACTIVE",
    requestBodyMaxBytes,
    allowAmbiguousPaths: false,
    sharedCache: false,
    sendForwarded: false,
    allowedRedirectOrigins: [],
    scanResponseBodies: false,
    allowWebsocket: false,
    ...changes,
  };
}

/** A user's token for the demo link, signed by a foreign library; 5 minutes long unless `claims` has an `exp`. */
export function userToken(claims: Record<string, unknown> = {}, options: jsonwebtoken.SignOptions = {}): string {
  const lifetime: jsonwebtoken.SignOptions = claims.exp === undefined ? { expiresIn: "5m" } : {};
  return jsonwebtoken.sign({ sub: "user-1", iss: ISSUER.iss, ...claims }, HMAC_SECRET, { ...lifetime, ...options });
}

export interface ProxyOptions {
  readonly baseUrl: string;
  readonly link?: LinkChanges;
  readonly tokens?: readonly LinkToken[];
  readonly clock?: Clock;
  readonly trustedProxies?: readonly string[];
  readonly serverOptions?: ServerOptions;
  readonly bodyIdleMs?: number;
  readonly readIdleMs?: number;
  readonly socketsMax?: number;
  /** What names of upstreams lead to. Default: the system's resolver. */
  readonly lookup?: Resolve;
  /** False = no configuration has come. */
  readonly isReady?: boolean;
  readonly hiddenKey?: string;
  /** Default: no key set can be fetched. */
  readonly fetchJson?: FetchJson;
}

export interface TestProxy {
  readonly port: number;
  /** `http://127.0.0.1:<port>/<link-id>`. */
  readonly url: string;
  readonly links: CompiledLinks;
  readonly jwksSources: JwksSources;
  readonly logLines: string[];
  readonly usage: UsageCounter;
  readonly registry: Registry;
  /** Open WebSockets. */
  readonly tunnels: Tunnels;
  /** As at a stop: event streams and WebSockets end. */
  drain(): void;
  /** fetch with both credentials. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Puts resources in force, as a change of the configuration does. */
  put(...resources: OpenedResource[]): void;
}

/** Header lines with both credentials, for requests written by hand. */
export const credentialLines = (token = userToken()): string =>
  `X-Access-Token: ${LINK_TOKEN}\r\nAuthorization: Bearer ${token}\r\n`;

export async function startProxy(options: ProxyOptions): Promise<TestProxy> {
  const { clock = systemClock, hiddenKey = HIDDEN_KEY } = options;
  const logLines: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => logLines.push(line) });
  const { fetchJson = () => Promise.reject(new Error("no JWKS here")) } = options;
  const jwksSources = new JwksSources({ fetchJson, clock, log });
  const links = new CompiledLinks(jwksSources);
  let version = 0n;
  const put = (...resources: OpenedResource[]) => {
    version += 1n;
    links.apply(resources.map((resource) => ({ kind: resource.kind, name: resource.name, version, resource })));
  };
  const secret = (id: string, text: string): OpenedResource => {
    return { kind: "secret", name: `projects/demo/secrets/${id}`, secret: { current: new SecretText(text) } };
  };
  if (options.isReady !== false) {
    const link = linkOf(options.baseUrl, options.link);
    const tokens = options.tokens ?? [linkTokenOf()];
    put(
      secret("key", hiddenKey),
      secret("hmac", HMAC_SECRET),
      { kind: "issuer", name: ISSUER_NAME, issuer: ISSUER },
      ...tokens.map((linkToken) => ({ kind: "link_token" as const, name: linkToken.name, linkToken })),
      { kind: "link", name: link.name, link },
    );
    if (links.rejected().length > 0) throw new Error(JSON.stringify(links.rejected()));
    links.becomeReady(INSTALLATION_ID);
  }
  const usage = new UsageCounter();
  const registry = new Registry();
  const { lookup } = options;
  const dial = createDialer(createResolver({ clock, ...(lookup !== undefined && { lookup }) }));
  const pools = createUpstreamPools(createUpstreamClients(dial), options.socketsMax);
  const liveChecks = new LiveChecks(clock);
  const live = new LiveAnswers(liveChecks);
  const tunnels = new Tunnels(liveChecks);
  const serve = createPipeline({
    config: links,
    clientAddress: createClientAddress(options.trustedProxies ?? []),
    limits: new LimitTable(clock),
    pools,
    live,
    tunnels,
    recorders: { log, metrics: createProxyMetrics(registry), usage, clock },
    ...{ clock, random: systemRandom, log },
  });
  const refuse = (cause: Parameters<typeof headlessRefusal>[0]) => headlessRefusal(cause, systemRandom.uuid());
  const server = createServer(proxyServerOptions(options.serverOptions));
  server.maxHeadersCount = PROXY_MAX_HEADERS_COUNT;
  const { bodyIdleMs, readIdleMs } = options;
  const handlers = createHttpHandlers(serve, refuse, {
    ...(bodyIdleMs !== undefined && { bodyIdleMs }),
    ...(readIdleMs !== undefined && { readIdleMs }),
  });
  for (const [event, handler] of Object.entries(handlers)) server.on(event, handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await pools.destroy();
  });
  const url = `http://127.0.0.1:${port}/${LINK_ID}`;
  const call = (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has("x-access-token")) headers.set("x-access-token", LINK_TOKEN);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${userToken()}`);
    return fetch(url + path, { redirect: "manual", ...init, headers });
  };
  const drain = () => {
    live.finishAll("draining");
    tunnels.drain();
  };
  return { port, url, links, jwksSources, logLines, usage, registry, tunnels, drain, call, put };
}

/** Writes bytes to a port and resolves with everything that came back when the other side closes. */
export async function rawExchange(port: number, bytes: string | Uint8Array, afterwards?: (socket: Socket) => void) {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(bytes);
  afterwards?.(socket);
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

/** Status lines in a raw answer, in order. */
export const statusesOf = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));

/** A time that only a test moves. */
export function fakeClock(nowMs = 1_800_000_000_000): Clock & { advance(ms: number): void } {
  let at = nowMs;
  return {
    now: () => at,
    monotonic: () => at - nowMs,
    advance(ms) {
      at += ms;
    },
  };
}

/** Withdraws the tokens with this `jti`, as the configuration stream does. */
export function revokeToken({ links }: TestProxy, jti: string, nowMs = Date.now()): void {
  const target = { kind: "token", project: "demo", id: jti } as const;
  const entry = revocationEntryOf({ target, expireTimeMs: nowMs + 60_000 });
  links.revocations.set({ name: revocationStreamName(`projects/demo/revocations/${jti}`), version: 1n, entry });
}
