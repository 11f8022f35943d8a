// promises.md S21 over both ports, for every method there is: the descriptors say which, the table of permissions who may.
// access.test.ts asks the same without sockets, with every role and more requests.
import { create, createFileRegistry, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { DurationSchema, FileDescriptorProtoSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toConnectError } from "../../server/src/control/error-mapping.ts";
import type { Api, ServiceMount } from "../../server/src/listen/api.ts";
import { listenControlHttp } from "../../server/src/listen/control-http.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import { createHealth } from "../../server/src/listen/health.ts";
import type { Listener } from "../../server/src/listen/port.ts";
import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import {
  type ControlPlane,
  callAny,
  failureOf,
  makeLink,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";
import { requestFor, rows } from "./methods.ts";

/** A service that nobody wrote a row for, and one method that nobody implemented. */
const NEWCOMER = serviceOf("conduit.v1.NewcomerService", "Do");
const reached: string[] = [];

const PORTS: readonly (readonly [protocol: string, make: (grpc: string, http: string) => Transport])[] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl, interceptors: [sendCredential] })],
  ["Connect", (_, baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [sendCredential] })],
];

let plane: ControlPlane;
let demo: TestProject;
let other: TestProject;
let listeners: Listener[];
let transports: ReadonlyMap<string, Transport>;
/** By how they came to be of no use. */
let useless: Readonly<Record<string, string | null>>;
/** What the next call sends; calls go one after the other. */
let credential: string | null = null;

const sendCredential: Interceptor = (next) => (request) => {
  if (credential !== null) request.header.set("authorization", `Bearer ${credential}`);
  return next(request);
};

beforeAll(async () => {
  plane = await startControlPlane();
  [demo, other] = [await plane.makeProject("demo"), await plane.makeProject("other")];
  listeners = await listen();
  const [grpc = "", http = ""] = listeners.map(({ address }) => `http://127.0.0.1:${address.port}`);
  transports = new Map(PORTS.map(([protocol, make]) => [protocol, make(grpc, http)]));
  useless = await makeUseless();
}, 60_000);
afterAll(async () => {
  await Promise.all(listeners.map((it) => it.drain(0)));
  await plane[Symbol.asyncDispose]();
});

/** Both ports, as `conduit server` opens them, with the newcomer and without an implementation of GetSession. */
async function listen(): Promise<Listener[]> {
  const { control, clock } = plane;
  const implemented = control.services.map((mount: ServiceMount) =>
    mount.service === SessionService
      ? { ...mount, implementation: { ...mount.implementation, getSession: undefined } }
      : mount,
  );
  const newcomer = { service: NEWCOMER, implementation: { do: () => void reached.push("newcomer") } };
  const { interceptors, gate, authenticate, peerValues } = control;
  const services = [...implemented, newcomer];
  const api: Api = { services, interceptors, gate, authenticate, peerValues, describe: toConnectError };
  const health = createHealth([]);
  const [log, host, port] = [pino({ level: "silent" }), "127.0.0.1", 0];
  return await Promise.all([
    listenGrpc({ host, port, api, health, reflection: false, clock }),
    listenControlHttp({ host, port, api, health, routes: [], hostNames: [], log, random: systemRandom }),
  ]);
}

async function makeUseless(): Promise<Record<string, string | null>> {
  const keys = plane.client(ApiKeyService);
  const [role, inAMinute] = [Role.OPERATOR, timestampFromMs(plane.clock.now() + 60_000)];
  const expired = await keys.createApiKey({ apiKey: { role, expireTime: inAMinute } });
  plane.clock.advance(60_000);
  const deleted = await keys.createApiKey({ apiKey: { role } });
  await keys.deleteApiKey({ name: deleted.apiKey?.name ?? "" });
  const rotated = await keys.createApiKey({ apiKey: { role } });
  await keys.rotateApiKey({ name: rotated.apiKey?.name ?? "", overlap: create(DurationSchema) });
  return {
    none: null,
    "an expired key": expired.apiKey?.key ?? "",
    "a deleted key": deleted.apiKey?.key ?? "",
    "a rotated key": rotated.apiKey?.key ?? "",
  };
}

/** What a call with this credential fails with. */
function refusalOf(protocol: string, method: DescMethod, request: ReturnType<typeof requestFor>, sent: string | null) {
  credential = sent;
  const transport = transports.get(protocol);
  if (transport === undefined) throw new Error(`no port speaks ${protocol}`);
  return failureOf(callAny({ transport: () => transport }, method, request, sent));
}

const refused = { code: "Unauthenticated", reason: "CREDENTIAL_INVALID", fields: [] };
const notFound = { code: "NotFound", reason: "RESOURCE_NOT_FOUND", fields: [] };

describe.each(PORTS)("S21: over %s", (protocol) => {
  it.each(rows.filter(([, , row]) => row?.by !== "nothing"))(
    "%s answers UNAUTHENTICATED without a credential and with one of no use",
    async (_id, method, row) => {
      for (const [kind, sent] of Object.entries(useless)) {
        const refusal = await refusalOf(protocol, method, requestFor(method, row, demo.name), sent);
        expect({ kind, ...refusal }).toMatchObject({ kind, ...refused });
      }
      const wrongKind = row?.by === "api_key" ? [] : [plane.operatorKey, demo.keys.owner];
      for (const sent of wrongKind)
        expect(await refusalOf(protocol, method, requestFor(method, row, ""), sent)).toMatchObject(refused);
    },
  );

  it.each(rows.filter(([, , row]) => row?.by === "api_key" && row.project !== undefined))(
    "%s answers NOT_FOUND to another project's keys",
    async (_id, method, row) => {
      for (const sent of [other.keys.owner, other.keys.viewer])
        expect(await refusalOf(protocol, method, requestFor(method, row, demo.name), sent)).toMatchObject(notFound);
    },
  );

  it("a method that nobody implemented asks for a credential first", async () => {
    const { getSession } = SessionService.method;
    const request = create(getSession.input, { name: `${demo.name}/sessions/x` });
    expect(await refusalOf(protocol, getSession, request, null)).toMatchObject(refused);
    expect((await refusalOf(protocol, getSession, request, demo.keys.owner)).code).toBe("Unimplemented");
    expect(await refusalOf(protocol, getSession, request, other.keys.owner)).toMatchObject(notFound);
  });

  it("a method without a row in the table can be called by nobody", async () => {
    const [method] = NEWCOMER.methods as [DescMethod];
    expect(await refusalOf(protocol, method, create(method.input), null)).toMatchObject(refused);
    for (const sent of [plane.operatorKey, ...Object.values(demo.keys)])
      expect((await refusalOf(protocol, method, create(method.input), sent)).code).toBe("Unimplemented");
    expect(reached).toEqual([]);
  });

  it("the two methods whose request is the credential refuse what is unknown, spent or ended", async () => {
    const { refreshToken } = TokenService.method;
    const { joinProxy } = ProxyService.method;
    const { joinToken } = await plane.client(ProxyService).createJoinToken({});
    await plane.client(ProxyService, null).joinProxy({ joinToken });
    for (const spent of [joinToken, "garbage", generateToken("joinToken", systemRandom).reveal()])
      expect((await refusalOf(protocol, joinProxy, create(joinProxy.input, { joinToken: spent }), null)).code).toBe(
        "Unauthenticated",
      );
    const ended = await endedSession();
    for (const refresh of [ended, "garbage"])
      expect(
        (await refusalOf(protocol, refreshToken, create(refreshToken.input, { refreshToken: refresh }), null)).code,
      ).toBe("Unauthenticated");
  });
});

/** The refresh token of a session that was ended. */
async function endedSession(): Promise<string> {
  const link = await makeLink(plane, demo.name);
  const opened = await plane
    .client(TokenService)
    .mintToken({ parent: demo.name, subject: "u", links: [link], session: {} });
  await plane.client(SessionService).revokeSession({ name: opened.session });
  return opened.refreshToken;
}

/** A service with one method, as a proto that somebody adds would make it. */
function serviceOf(typeName: string, method: string): DescService {
  const [, pkg = "", name = ""] = /^(.*)\.(\w+)$/.exec(typeName) ?? [];
  const file = create(FileDescriptorProtoSchema, {
    name: "newcomer.proto",
    syntax: "proto3",
    package: pkg,
    messageType: [{ name: "DoRequest" }, { name: "DoResponse" }],
    service: [{ name, method: [{ name: method, inputType: `.${pkg}.DoRequest`, outputType: `.${pkg}.DoResponse` }] }],
  });
  const service = createFileRegistry(file, () => undefined).getService(typeName);
  if (service === undefined) throw new Error(`${typeName} was not made`);
  return service;
}
