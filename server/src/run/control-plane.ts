import type { Registry } from "prom-client";
import { systemClock } from "../clock.ts";
import { openFleet } from "../config-log/fleet.ts";
import { type ConfigHub, createConfigHub } from "../config-log/hub.ts";
import { startSealer } from "../control/audit/sealer.ts";
import { type Control, createControl } from "../control/control.ts";
import { toConnectError } from "../control/error-mapping.ts";
import { JwksSources } from "../jwt/jwks.ts";
import { listenControlHttp } from "../listen/control-http.ts";
import { listenGrpc } from "../listen/grpc.ts";
import { createHealth } from "../listen/health.ts";
import type { TlsMaterial } from "../listen/http-listener.ts";
import type { Listener } from "../listen/port.ts";
import type { Log } from "../log.ts";
import type { PlainRoute } from "../model/plain-http.ts";
import type { SecretText } from "../model/secret-text.ts";
import { VERSION } from "../model/version.ts";
import { createFetchJson } from "../outbound/capped-fetch.ts";
import { createDialer } from "../outbound/dialer.ts";
import { createResolver } from "../outbound/resolver.ts";
import { type ClientAddress, createClientAddress } from "../policy/trusted-proxies.ts";
import { systemRandom } from "../random.ts";
import { createKeyring } from "../sealing/keyring.ts";
import { parseMasterKeys } from "../sealing/master-keys.ts";
import { urlOf } from "../settings.ts";
import { openStore, type StoreLocation } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { createControlMetrics } from "./control-metrics.ts";

export interface ControlPlaneOptions {
  readonly location: StoreLocation;
  readonly masterKeys: SecretText;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Absent: the HTTP port's own URL. */
  readonly publicUrl: string | undefined;
  readonly tls: TlsMaterial | undefined;
  readonly reflection: boolean;
  /** Addresses and networks of what stands in front and tells whom it forwards for. */
  readonly trustedProxies: readonly string[];
  /** Asked after JWKS. May be added to after the start. */
  readonly routes: readonly PlainRoute[];
  readonly log: Log;
  /** Age at which proxies are told to replace their credentials. Default 30 days. */
  readonly proxyCredentialMaxAgeMs?: number;
  /** Gets the control plane's metrics. */
  readonly registry: Registry;
}

const SWEEP_MS = 60_000;
const REFRESH_KEYS_MS = 5_000;

/** A running control plane. */
export interface ControlPlane {
  readonly control: Control;
  readonly store: Store;
  readonly hub: ConfigHub;
  /** The HTTP port as this machine reaches it, without trailing slash. */
  readonly httpUrl: string;
  readonly publicUrl: string;
  readonly grpcPort: number;
  /** Streams are told to go elsewhere, calls in flight finish, then the database closes. */
  stop(): Promise<void>;
}

/** Opens the database and serves the API on both ports. @throws ExitError saying what is in the way */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const clientAddress = createClientAddress(options.trustedProxies);
  const store = await openStore(options.location, { clock: systemClock, random: systemRandom });
  const endings: Array<() => Promise<unknown>> = [() => store.close()];
  const stop = async () => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    return { ...(await serveApi({ ...options, clientAddress }, store, endings)), store, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Serving = ControlPlaneOptions & { readonly clientAddress: ClientAddress };

async function serveApi(options: Serving, store: Store, endings: Array<() => Promise<unknown>>) {
  const { log, host, tls, clientAddress } = options;
  const effects = { clock: systemClock, random: systemRandom, log };
  endings.push(startSealer({ store, ...effects }));
  const keyring = createKeyring(parseMasterKeys(options.masterKeys), systemRandom);
  const fleet = await openFleet(store, { keyring, ...effects, version: VERSION });
  const observer = createControlMetrics(options.registry, () => Number(hub.head().sequence));
  const hub = createConfigHub({ store, fleet, observer, ...effects });
  await hub.start();
  endings.push(() => hub.stop());
  // Known only when the port is bound, and needed only when a project is created.
  let publicUrl = options.publicUrl ?? "";
  const fetchJson = createFetchJson(createDialer(createResolver({ clock: systemClock })));
  const jwksSources = new JwksSources({ fetchJson, ...effects });
  endings.push(async () => jwksSources.close(), refreshKeysRegularly(jwksSources));
  const { proxyCredentialMaxAgeMs } = options;
  const control = createControl({
    ...{ store, keyring, fleet, hub, jwksSources, ...effects, publicUrl: () => publicUrl },
    ...(proxyCredentialMaxAgeMs !== undefined && { proxyCredentialMaxAgeMs }),
  });
  endings.push(() => control.flush());
  endings.push(sweepRegularly(control, log));
  const health = createHealth(control.services.map(({ service }) => service.typeName));
  const api = {
    services: control.services,
    interceptors: control.interceptors,
    gate: control.gate,
    authenticate: control.authenticate,
    peerValues: control.peerValues,
    clientAddress,
    describe: toConnectError,
  };
  const shared = { host, tls, api, health, log };
  const hostNames = options.publicUrl === undefined ? [] : [new URL(options.publicUrl).hostname];
  const routes = [control.jwksRoute, ...control.oauthRoutes, laterRoutes(options.routes)];
  const http = await listenControlHttp({ ...shared, random: systemRandom, port: options.httpPort, routes, hostNames });
  endings.push(() => http.drain());
  const grpcOptions = { ...shared, port: options.grpcPort, reflection: options.reflection, clock: systemClock };
  const grpc = await listenGrpc(grpcOptions);
  endings.push(() => drainStreams(hub, grpc));
  const httpUrl = urlOf(tls === undefined ? "http" : "https", host, http.address.port);
  publicUrl ||= httpUrl;
  health.setServing(true);
  endings.push(async () => health.setServing(false));
  endings.push(async () => control.stop());
  return { control, hub, httpUrl, publicUrl, grpcPort: grpc.address.port };
}

/** Fetches keys before they are too old, so that no call waits for them; returns how to end that. */
function refreshKeysRegularly(jwksSources: JwksSources): () => Promise<void> {
  const timer = setInterval(() => jwksSources.refreshDue(), REFRESH_KEYS_MS);
  timer.unref();
  return async () => clearInterval(timer);
}

/** Sweeps once a minute; returns how to end that. */
function sweepRegularly(control: Control, log: Log): () => Promise<void> {
  const sweep = () =>
    control.sweep().catch((err: unknown) => log.warn({ err }, "what has expired could not be taken away; tried again"));
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return async () => clearInterval(timer);
}

/** The streams must be told to go before their port waits for them. */
async function drainStreams(hub: ConfigHub, grpc: Listener): Promise<void> {
  await hub.stop();
  await grpc.drain();
}

/** Routes that may be added after the listener was made. */
const laterRoutes =
  (routes: readonly PlainRoute[]): PlainRoute =>
  async (request) => {
    for (const route of routes) {
      const answer = await route(request);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
