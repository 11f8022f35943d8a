// Connect clients against a link: a real Connect and gRPC server behind a stand-in for the proxy, which refuses tokens as the proxy does.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "@conduit-link/proto/grpc/health/v1/health_pb";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createGrpcTransport,
  createConnectTransport as createNodeConnectTransport,
} from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { authInterceptor, connectOptions } from "../../../sdk/src/adapters/connect.ts";
import { type Conduit, createConduit, isConduitError } from "../../../sdk/src/index.ts";
import { rejection } from "../fake-link.ts";

interface Seen {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly linkToken: string | undefined;
}

let seen: Seen[];
let refused: Set<string>;
let upstream: { refuses: boolean };
let close: (() => void)[];
let urls: { http1: string; http2: string };

beforeEach(async () => {
  seen = [];
  refused = new Set();
  upstream = { refuses: false };
  const check = () => {
    if (upstream.refuses) throw new ConnectError("upstream says no", Code.Unauthenticated);
    return { status: Serving.SERVING };
  };
  const answer = connectNodeAdapter({
    requestPathPrefix: "/link",
    routes: (router) =>
      router.service(Health, {
        check,
        async *watch() {
          yield check();
          yield { status: Serving.NOT_SERVING };
        },
      }),
  });
  const proxy = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
    const { authorization, "x-access-token": linkToken } = request.headers;
    seen.push({ path: request.url ?? "", authorization, linkToken: linkToken as string | undefined });
    if (!refused.has(authorization ?? "")) return answer(request as IncomingMessage, response as ServerResponse);
    request.resume();
    response.statusCode = 401;
    response.setHeader("Content-Type", "application/problem+json");
    response.setHeader("X-Conduit-Error", "token_expired");
    response.end('{"code":"token_expired"}');
  };
  const servers = [createServer(proxy), createHttp2Server(proxy)];
  const [http1 = "", http2 = ""] = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }),
  );
  urls = { http1, http2 };
  close = servers.map((server) => () => {
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
});
afterEach(() => {
  for (const end of close) end();
});

function openConduit(origin: string): { conduit: Conduit; rounds(): number } {
  let round = 0;
  const conduit = createConduit({
    url: `${origin}/link`,
    linkToken: "cl_pub_x",
    getToken: () => ({ token: `t${++round}`, expiresIn: 900 }),
  });
  close.push(() => conduit.dispose());
  return { conduit, rounds: () => round };
}

/** Every way to call, with the origin it needs. */
const TRANSPORTS: readonly [name: string, origin: "http1" | "http2", make: (conduit: Conduit) => Transport][] = [
  ["connect-web", "http1", (conduit) => createConnectTransport(connectOptions(conduit))],
  [
    "connect-web in binary",
    "http1",
    (conduit) => createConnectTransport({ ...connectOptions(conduit), useBinaryFormat: true }),
  ],
  ["gRPC-Web", "http1", (conduit) => createGrpcWebTransport(connectOptions(conduit))],
  [
    "connect-node",
    "http1",
    (conduit) =>
      createNodeConnectTransport({
        baseUrl: conduit.url,
        httpVersion: "1.1",
        interceptors: [authInterceptor(conduit)],
      }),
  ],
  [
    "gRPC",
    "http2",
    (conduit) => createGrpcTransport({ baseUrl: conduit.url, interceptors: [authInterceptor(conduit)] }),
  ],
];

async function collect(statuses: AsyncIterable<{ status: Serving }>): Promise<Serving[]> {
  const all: Serving[] = [];
  for await (const { status } of statuses) all.push(status);
  return all;
}

describe.each(TRANSPORTS)("%s", (_name, origin, make) => {
  const open = () => {
    const opened = openConduit(urls[origin]);
    return { ...opened, client: createClient(Health, make(opened.conduit)) };
  };

  test("a unary call carries both credentials", async () => {
    const { client } = open();
    expect((await client.check({ service: "x" })).status).toBe(Serving.SERVING);
    expect(seen).toEqual([
      { path: "/link/grpc.health.v1.Health/Check", authorization: "Bearer t1", linkToken: "cl_pub_x" },
    ]);
  });

  test("unary calls refused together are all answered, with one refresh", async () => {
    const { client, rounds } = open();
    await client.check({});
    refused.add("Bearer t1");
    const answers = await Promise.all([1, 2, 3].map(() => client.check({ service: "x" })));
    expect([answers.map(({ status }) => status), rounds()]).toEqual([[1, 1, 1], 2]);
  });

  test("a refused server stream begins again with a new token, its message included", async () => {
    const { client, rounds } = open();
    refused.add("Bearer t1");
    expect(await collect(client.watch({ service: "x" }))).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
    expect([rounds(), seen.map(({ authorization }) => authorization)]).toEqual([2, ["Bearer t1", "Bearer t2"]]);
  });

  test("a token refused twice is the call's error, after one retry", async () => {
    const { client, rounds } = open();
    refused = { has: () => true } as unknown as Set<string>;
    const errors = [await rejection(client.check({})), await rejection(collect(client.watch({})))];
    expect(errors.map((error) => ConnectError.from(error).code)).toEqual([Code.Unauthenticated, Code.Unauthenticated]);
    // The second call is not the first's retry: each may refresh once.
    expect([rounds(), seen.length]).toEqual([3, 4]);
  });

  test("`unauthenticated` of the upstream is passed on and costs no refresh", async () => {
    const { client, rounds } = open();
    upstream.refuses = true;
    const errors = [await rejection(client.check({})), await rejection(collect(client.watch({})))];
    expect(errors.map((error) => ConnectError.from(error).rawMessage)).toEqual([
      "upstream says no",
      "upstream says no",
    ]);
    expect([rounds(), seen.length]).toEqual([1, 2]);
  });
});

test("an interceptor on a transport to elsewhere sends nothing", async () => {
  const { conduit } = openConduit("https://proxy.example");
  const interceptors = [authInterceptor(conduit)];
  for (const baseUrl of [urls.http1, `${urls.http1}/link`]) {
    const transport = createNodeConnectTransport({ baseUrl, httpVersion: "1.1", interceptors });
    const error = ConnectError.from(await rejection(createClient(Health, transport).check({})));
    expect(isConduitError(error.cause, "origin_not_allowed")).toBe(true);
  }
  expect(seen).toEqual([]);
});
