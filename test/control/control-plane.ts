// A whole control plane in memory, without sockets: real services, real database (PGlite), a clock the test sets.
import type { DescMethod, DescMethodStreaming, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { ConfigService, type ReportConfigStatusRequest } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { BadRequestSchema, ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { pino } from "pino";
import type { Clock } from "../../server/src/clock.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { createConfigHub } from "../../server/src/config-log/hub.ts";
import { type Control, createControl } from "../../server/src/control/control.ts";
import { createOperatorKey } from "../../server/src/control/operator-key.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import type { FetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { systemRandom } from "../../server/src/random.ts";
import { createKeyring, type Keyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { openTestStore } from "../support/store.ts";

export const START_MS = Date.UTC(2026, 10, 25, 12);
export const PUBLIC_URL = "https://control.example";

/** A clock that stands until it is moved. */
export interface FakeClock extends Clock {
  advance(ms: number): void;
}

function fakeClock(): FakeClock {
  let nowMs = START_MS;
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** An answer's failure as a client reads it. */
export interface Failure {
  readonly code: string;
  readonly reason: string;
  /** Paths of the wrong fields. */
  readonly fields: readonly string[];
  readonly message: string;
  readonly error: ConnectError;
}

export interface ControlPlane extends AsyncDisposable {
  readonly control: Control;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly clock: FakeClock;
  /** Fetched keys of other issuers. */
  readonly jwksSources: JwksSources;
  /** What other issuers' hosts serve, by URL. */
  readonly documents: Map<string, string>;
  /** Everything logged so far. */
  readonly logged: () => string;
  /** Everything that came back in answers and errors so far, as JSON. */
  readonly answered: () => string;
  /** Text of the operator's key. */
  readonly operatorKey: string;
  /** A client that sends this bearer credential (default: the operator's key; null: none). */
  client<Service extends DescService>(service: Service, credential?: string | null): Client<Service>;
  /** What `client` calls through. */
  transport(credential: string | null): Transport;
  /** Joins a proxy, reports its status, and waits until it is written. */
  reportAsProxy(request: ReportConfigStatusRequest): Promise<void>;
  /** A project with this id and a key of each role. */
  makeProject(id: string): Promise<TestProject>;
}

export interface TestProject {
  readonly name: string;
  readonly keys: Readonly<Record<"viewer" | "minter" | "editor" | "owner", string>>;
}

/** What the replicas of one control plane share. */
export interface Installation {
  /** Of a PostgreSQL database. */
  readonly url: string;
  /** Base64 of 32 bytes. */
  readonly masterKey: string;
}

/**
 * @param at PostgreSQL for what must hold when several do it at once: PGlite runs one transaction after the other; an
 * installation for one more replica of it
 */
export async function startControlPlane(at: Store["kind"] | Installation = "pglite"): Promise<ControlPlane> {
  const clock = fakeClock();
  const random = systemRandom;
  const lines: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
  const isReplica = typeof at === "object";
  const effects = { clock, random, log };
  const store = isReplica
    ? await openStore({ kind: "postgres", url: new SecretText(at.url) }, effects)
    : await openTestStore(at);
  const masterKey = isReplica ? at.masterKey : Buffer.from(random.bytes(32)).toString("base64");
  const keyring = createKeyring(parseMasterKeys(new SecretText(masterKey)), random);
  const fleet = await openFleet(store, { keyring, clock, random, version: "0.0.0-test" });
  const hub = createConfigHub({ store, fleet, clock, random, log });
  await hub.start();
  const documents = new Map<string, string>();
  const jwksSources = new JwksSources({ fetchJson: fetchFrom(documents), clock, log });
  const control = createControl({ store, keyring, fleet, hub, jwksSources, ...effects, publicUrl: () => PUBLIC_URL });
  const { key } = await createOperatorKey(store, { clock, random }, "Test operator");
  const answers: string[] = [];
  const transport = (credential: string | null) => transportOf(control, credential, answers);
  const clientOf = <Service extends DescService>(service: Service, credential: string | null) =>
    createClient(service, transport(credential));

  return {
    control,
    store,
    keyring,
    clock,
    jwksSources,
    documents,
    operatorKey: key.reveal(),
    logged: () => lines.join("\n"),
    answered: () => answers.join("\n"),
    client: (service, credential = key.reveal()) => clientOf(service, credential),
    transport,
    async reportAsProxy(request) {
      const { joinToken } = await clientOf(ProxyService, key.reveal()).createJoinToken({});
      const { credential } = await clientOf(ProxyService, null).joinProxy({ joinToken });
      await clientOf(ConfigService, credential).reportConfigStatus(request);
      await control.flush();
    },
    makeProject: (id) => makeProject(id, clientOf(ProjectService, key.reveal()), clientOf(ApiKeyService, key.reveal())),
    async [Symbol.asyncDispose]() {
      await control.flush();
      await hub.stop();
      await store.close();
    },
  };
}

/** Hosts that serve these documents, and refuse the connection for everything else. */
function fetchFrom(documents: ReadonlyMap<string, string>): FetchJson {
  return async (url) => {
    const body = documents.get(url);
    if (body === undefined) throw new ConduitError("upstream_unreachable");
    return { status: 200, headers: { "content-type": "application/json" }, body };
  };
}

function transportOf(control: Control, credential: string | null, answers: string[]): Transport {
  const record: Interceptor = (next) => async (request) => {
    if (credential !== null) request.header.set("authorization", `Bearer ${credential}`);
    try {
      const response = await next(request);
      if (!response.stream) answers.push(JSON.stringify(response.message, bigintAsText));
      return response;
    } catch (error) {
      answers.push(JSON.stringify(describeFailure(error), bigintAsText));
      throw error;
    }
  };
  return createRouterTransport(
    (router) => {
      for (const { service, implementation } of control.services) router.service(service, implementation);
    },
    {
      router: { interceptors: [...control.interceptors], requestGate: control.gate },
      transport: { interceptors: [record] },
    },
  );
}

/** Calls any unary or server-streaming method; resolves with its first answer. */
export async function callAny(
  plane: Pick<ControlPlane, "transport">,
  method: DescMethod,
  request: Message,
  credential: string | null,
): Promise<unknown> {
  const transport = plane.transport(credential);
  if (method.methodKind === "unary")
    return transport.unary(method as DescMethodUnary, undefined, undefined, undefined, request);
  const input = (async function* () {
    yield request;
  })();
  const streaming = method as DescMethodStreaming;
  const response = await transport.stream(streaming, undefined, undefined, undefined, input);
  for await (const message of response.message) return message;
  return undefined;
}

const bigintAsText = (_name: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value);

function describeFailure(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return String(error);
  return [error.message, [...error.metadata], error.details, failureFrom(error)];
}

function failureFrom(error: ConnectError): Failure {
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: Code[error.code] ?? "",
    reason: info?.reason ?? "",
    fields: fields.map(({ field }) => field),
    message: error.rawMessage,
    error,
  };
}

/** What a call fails with. Rejects when it succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return failureFrom(error);
    throw error;
  }
  throw new Error("the call succeeded");
}

async function makeProject(
  id: string,
  projects: Client<typeof ProjectService>,
  apiKeys: Client<typeof ApiKeyService>,
): Promise<TestProject> {
  const { project } = await projects.createProject({ projectId: id, project: { displayName: id } });
  const parent = project?.name ?? "";
  const keyOf = async (role: Role): Promise<string> => {
    const { apiKey } = await apiKeys.createApiKey({ parent, apiKey: { role } });
    return apiKey?.key ?? "";
  };
  return {
    name: parent,
    keys: {
      viewer: await keyOf(Role.VIEWER),
      minter: await keyOf(Role.MINTER),
      editor: await keyOf(Role.EDITOR),
      owner: await keyOf(Role.OWNER),
    },
  };
}

/** The smallest link that is accepted: link token only. */
export const PLAIN_LINK = {
  upstream: { baseUrl: "https://api.example/v1" },
  rules: [{ path: "/**" }],
};

/** Makes a link and returns its name. */
export async function makeLink(plane: ControlPlane, parent: string, linkId = ""): Promise<string> {
  const { link } = await plane.client(LinkService).createLink({ parent, linkId, link: PLAIN_LINK });
  return link?.name ?? "";
}
