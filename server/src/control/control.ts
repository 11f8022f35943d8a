import { hkdfSync } from "node:crypto";
import type { DescService } from "@bufbuild/protobuf";
import { ApiKeyService } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { AuditService } from "@conduit-link/proto/conduit/v1/audit_service_pb";
import { ConfigService } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { SigningKeyService } from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { UsageService } from "@conduit-link/proto/conduit/v1/usage_service_pb";
import {
  type ContextValues,
  createContextValues,
  createRouterTransport,
  type Interceptor,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import type { Fleet } from "../config-log/fleet.ts";
import type { ConfigHub } from "../config-log/hub.ts";
import type { JwksSources } from "../jwt/jwks.ts";
import type { Log } from "../log.ts";
import type { Principal } from "../model/api-key.ts";
import type { PlainRoute } from "../model/plain-http.ts";
import { canonicalAddress } from "../policy/client-address.ts";
import { PROXY_CREDENTIAL_MAX_AGE_MS } from "../policy/proxy-credential.ts";
import type { Random } from "../random.ts";
import type { Keyring } from "../sealing/keyring.ts";
import type { SealingKey } from "../sealing/sealing-key.ts";
import type { Store } from "../store/store.ts";
import { apiKeyService } from "./api-keys/service.ts";
import { auditService } from "./audit/service.ts";
import { createAuditLedger } from "./audit-ledger.ts";
import { type Authenticator, trustedAuthenticator } from "./authenticate.ts";
import { clientAddressKey } from "./call.ts";
import { configService } from "./config/service.ts";
import type { ControlService } from "./control-service.ts";
import { storedCredentials } from "./credentials.ts";
import type { Deps } from "./deps.ts";
import { inProcessTransport } from "./in-process.ts";
import { createGate, createInterceptors, type Gate } from "./interceptors.ts";
import { forgetGoneIssuers } from "./issuers/forget-gone.ts";
import { issuerService } from "./issuers/service.ts";
import { createIssuingFacts } from "./issuing-facts.ts";
import { createJwksRoute } from "./jwks-route.ts";
import { createKeyGuard } from "./key-guard.ts";
import { createKeyUse } from "./key-use.ts";
import { createKnownDataKeys } from "./known-data-keys.ts";
import { linkTokenService } from "./link-tokens/service.ts";
import { sweepLinkTokens } from "./link-tokens/sweep.ts";
import { sweepDebugKeys } from "./links/debug-keys.ts";
import { linkService } from "./links/service.ts";
import { createOAuthRoutes } from "./oauth/routes.ts";
import { createPageTokens } from "./page-token.ts";
import { projectService } from "./projects/service.ts";
import type { Presence } from "./proxies/convert.ts";
import { proxyService } from "./proxies/service.ts";
import { createProxyStatuses } from "./proxy-status.ts";
import { createRevocationLedger } from "./revocation-ledger.ts";
import { revocationService } from "./revocations/service.ts";
import { sweepRevocations } from "./revocations/sweep.ts";
import { secretService } from "./secrets/service.ts";
import { createSessionReader } from "./session-reader.ts";
import { sessionService } from "./sessions/service.ts";
import { rotateDueKeys } from "./signing-keys/rotation-job.ts";
import { signingKeyService } from "./signing-keys/service.ts";
import { createSigners } from "./signing-keys.ts";
import { tokenService } from "./tokens/service.ts";
import { usageService } from "./usage/service.ts";

/** What the control plane is made of. */
export interface ControlOptions {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly fleet: Fleet;
  /** Started. */
  readonly hub: ConfigHub;
  /** Keys of issuers elsewhere, for tokens that are shown to the API. */
  readonly jwksSources: JwksSources;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Under which clients reach the HTTP port; head of the issuers of projects made from now on. No trailing slash. */
  readonly publicUrl: () => string;
  /** Age at which proxies are told to replace their credentials. Default 30 days. */
  readonly proxyCredentialMaxAgeMs?: number;
}

/** The control plane without sockets. */
export interface Control {
  readonly services: readonly ControlService[];
  /** Outermost first. */
  readonly interceptors: readonly Interceptor[];
  /** To be called before a request's body is read. */
  readonly gate: Gate;
  /** Values of a call by the address of who connects. */
  readonly peerValues: (address: string) => ContextValues;
  /** Throws `credential_invalid` unless the header holds a valid credential of any kind: for paths that are no method. */
  readonly authenticate: (header: Headers) => Promise<void>;
  /** Key sets of the projects' issuers. */
  readonly jwksRoute: PlainRoute;
  /** OAuth endpoints and metadata of the projects. */
  readonly oauthRoutes: readonly PlainRoute[];
  /**
   * Calls the services inside this process as `principal`, checked and validated like every call:
   * `createClient(LinkService, control.transportAs(OPERATOR))`. Never give it to anything that a network can reach.
   */
  transportAs(principal: Principal): Transport;
  /** Writes what is still in memory (the proxies' status, when keys were used); it does so by itself every few seconds. */
  flush(): Promise<void>;
  /** When the process begins to stop: calls that wait for something answer now, so that nobody waits for them. */
  stop(): void;
  /**
   * Takes away what has expired, forgets the keys of issuers that are gone and rotates signing keys that are due; to be
   * called about once a minute. Rejects when the database cannot be reached.
   */
  sweep(): Promise<void>;
}

/** The operator that `conduit dev` and `--local` commands act as: the one who has the database anyway. */
export const LOCAL_OPERATOR: Principal = { apiKey: "apiKeys/local", role: "operator" };

export function createControl(options: ControlOptions): Control {
  const { store, hub, clock, random, log } = options;
  const deps = depsOf(options);
  const statuses = createProxyStatuses(store, log);
  const stopping = new AbortController();
  const services = servicesOf(deps, hub, {
    statuses,
    isConnected: (proxy) => hub.isConnected(proxy),
    stopping: stopping.signal,
  });
  const keyUse = createKeyUse(store, clock, log);
  const { proxyCredentialMaxAgeMs = PROXY_CREDENTIAL_MAX_AGE_MS } = options;
  const watch = { guard: createKeyGuard(clock), use: keyUse };
  const authenticator = storedCredentials(store, clock, { watch, proxyCredentialMaxAgeMs });
  const unwatched = storedCredentials(store, clock, { proxyCredentialMaxAgeMs });
  const interceptors = createInterceptors(authenticator, log, random);
  return {
    services,
    interceptors,
    gate: createGate(authenticator, log, random),
    peerValues: (address) => createContextValues().set(clientAddressKey, canonicalAddress(address) ?? ""),
    authenticate: (header) => requireAnyCredential(unwatched, header),
    jwksRoute: createJwksRoute(store, clock),
    oauthRoutes: createOAuthRoutes({ deps, api: inProcessTransport(services, interceptors), authenticator }),
    transportAs: (principal) => inProcess(services, createInterceptors(trustedAuthenticator(principal), log, random)),
    async flush() {
      await statuses.flush();
      await keyUse.flush();
    },
    stop: () => stopping.abort(),
    async sweep() {
      await sweepRevocations(deps);
      await sweepLinkTokens(deps);
      await sweepDebugKeys(deps);
      await rotateDueKeys(deps);
      await forgetGoneIssuers(deps);
    },
  };
}

/** Calls the services as a listener would, without one. */
const inProcess = (services: readonly ControlService[], interceptors: Interceptor[]): Transport =>
  createRouterTransport(
    (router) => {
      for (const { service, implementation } of services) router.service(service, implementation);
    },
    { router: { interceptors } },
  );

/** Everything that calls share. Keys for the services' own use come from the installation's, which no proxy has. */
function depsOf({ store, keyring, fleet, jwksSources, clock, random, log, publicUrl }: ControlOptions): Deps {
  const { installationKey } = fleet;
  return {
    store,
    keyring,
    fleet,
    pageTokens: createPageTokens(derivedKey(installationKey, "page-token")),
    requestKey: derivedKey(installationKey, "request-id"),
    jwksSources,
    auditLedger: createAuditLedger(store, clock),
    revocationLedger: createRevocationLedger(store),
    issuingFacts: createIssuingFacts(store, clock),
    knownDataKeys: createKnownDataKeys(),
    readSession: createSessionReader(store),
    clock,
    random,
    log,
    publicUrl,
  };
}

const derivedKey = ({ key }: SealingKey, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, "", `conduit/v1/${purpose}`, 32));

function servicesOf(deps: Deps, hub: ConfigHub, presence: Presence): ControlService[] {
  const { statuses } = presence;
  return [
    mount(ProjectService, projectService(deps)),
    mount(LinkService, linkService(deps)),
    mount(LinkTokenService, linkTokenService(deps)),
    mount(SecretService, secretService(deps)),
    mount(IssuerService, issuerService(deps, statuses)),
    mount(ApiKeyService, apiKeyService(deps)),
    mount(SigningKeyService, signingKeyService(deps)),
    mount(TokenService, tokenService(deps, createSigners(deps))),
    mount(SessionService, sessionService(deps)),
    mount(RevocationService, revocationService(deps)),
    mount(ProxyService, proxyService(deps, presence)),
    mount(ConfigService, configService(deps, hub, statuses)),
    mount(AuditService, auditService(deps)),
    mount(UsageService, usageService(deps)),
  ];
}

const mount = <Service extends DescService>(
  service: Service,
  implementation: ServiceImpl<Service>,
): ControlService => ({ service, implementation });

async function requireAnyCredential(authenticator: Authenticator, header: Headers): Promise<void> {
  const authorization = header.get("authorization");
  // A proxy's credential is as good as a key for learning that a path does not exist.
  await authenticator.proxy(authorization).catch(() => authenticator.apiKey(authorization, ""));
}
