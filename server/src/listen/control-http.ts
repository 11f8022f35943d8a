import type { IncomingMessage, RequestListener, ServerOptions, ServerResponse } from "node:http";
import { fromBinary } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Log } from "../log.ts";
import { isLoopbackHost } from "../model/address.ts";
import { encodingOf } from "../model/encoded-message.ts";
import type { PlainAnswer, PlainRoute } from "../model/plain-http.ts";
import type { Random } from "../random.ts";
import { type HostRule, judgeHost } from "./allowed-host.ts";
import { ANSWER_MAX_BYTES, type Api, REQUEST_MAX_BYTES } from "./api.ts";
import { callBounds, stoppingReason } from "./call-bounds.ts";
import type { HealthService } from "./health.ts";
import { listenHttp, type TlsMaterial } from "./http-listener.ts";
import { answerPlain, clientAddressOf, sendPlain } from "./plain-route.ts";
import type { Listener } from "./port.ts";
import { errorAfterCredential, unknownMethod } from "./unknown-method.ts";
import { guardUnreadBody } from "./unread-body.ts";
import { hideUnreadableJson } from "./unreadable-json.ts";

export interface ControlHttpOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly api: Api;
  readonly health: HealthService;
  /** Asked in order for what is no RPC: JWKS, pages. */
  readonly routes: readonly PlainRoute[];
  /** Host names browsers may use besides loopback ones and addresses: those of the public URL. */
  readonly hostNames: readonly string[];
  readonly tls?: TlsMaterial | undefined;
  readonly log: Log;
  readonly random: Random;
}

/** Clocks and sizes of the parser. A whole request must arrive within the deadline of a unary call. */
const SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
};

/** On every answer; a page's route replaces what it must. There are no CORS headers: other origins get nothing to read. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  // Nothing here is meant to be rendered or framed: clickjacking, and answers opened as pages.
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Answers carry tokens and keys once shown; JWKS and pages say otherwise themselves.
  "Cache-Control": "no-store",
};

/** The HTTP port: Connect and gRPC-Web over HTTP/1.1, and plain routes. @throws ExitError (3) when it cannot bind */
export async function listenControlHttp(options: ControlHttpOptions): Promise<Listener> {
  const { host, port, tls } = options;
  const stopping = new AbortController();
  return await listenHttp({
    host,
    port,
    flag: "http-port",
    tls,
    serverOptions: SERVER_OPTIONS,
    handlers: {
      request: guardUnreadBody(
        hideUnreadableJson(controlHandler(options, stopping.signal), options.api.describe, options.random),
      ),
    },
    onDrain: () => stopping.abort(stoppingReason()),
  });
}

function controlHandler(options: ControlHttpOptions, stopping: AbortSignal): RequestListener {
  const { api, health, hostNames } = options;
  const { peerValues } = api;
  const rpc = connectNodeAdapter({
    routes: (router) => {
      for (const { service, implementation } of [...api.services, health.mount])
        router.service(service, implementation);
    },
    interceptors: [...api.interceptors, callBounds({ stopping }), decodeShared],
    ...(peerValues !== undefined && {
      // HTTP/1.1 only, so it is `node:http`'s.
      contextValues: (request) => peerValues(clientAddressOf(request as IncomingMessage, api.clientAddress)),
    }),
    ...(api.gate !== undefined && { requestGate: api.gate }),
    // gRPC itself needs HTTP/2: it has a port of its own.
    grpc: false,
    readMaxBytes: REQUEST_MAX_BYTES,
    writeMaxBytes: ANSWER_MAX_BYTES,
    // Compressed answers would put secrets next to text an attacker chooses (BREACH); compressed requests can be bombs.
    acceptCompression: [],
    // HTTP/1.1 only, so these are `node:http`'s.
    fallback: (request, response) => answerFallback(request as IncomingMessage, response as ServerResponse, options),
  });
  const hostRule: HostRule = { names: hostNames, isStrict: isLoopbackHost(options.host) };
  return (request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    // Before connect-node: it throws at a Host it cannot read, and nobody would catch that.
    const refusal = refuseHost(request, hostRule);
    if (refusal !== undefined) sendPlain(response, refusal);
    else rpc(request, response);
  };
}

/** Streams may yield messages that are encoded already, for the gRPC port; here they are needed decoded. */
const decodeShared: Interceptor = (next) => async (request) => {
  const response = await next(request);
  if (!response.stream) return response;
  const { message: messages, method } = response;
  const decoded = async function* () {
    for await (const message of messages) {
      const bytes = encodingOf(message);
      yield bytes === undefined ? message : fromBinary(method.output, bytes);
    }
  };
  return { ...response, message: decoded() };
};

function refuseHost(request: IncomingMessage, rule: HostRule): PlainAnswer | undefined {
  const { host, origin, "sec-fetch-site": site } = request.headers;
  const verdict = judgeHost({ host, isFromBrowser: origin !== undefined || site !== undefined }, rule);
  if (verdict === "allowed") return undefined;
  const headers = { "Content-Type": "text/plain; charset=utf-8" };
  if (verdict === "malformed") return { status: 400, headers, body: "The request needs one valid Host header.\n" };
  return {
    status: 421,
    headers,
    body: "Not served under this host name: use the address, or start with --public-url.\n",
  };
}

function answerFallback(request: IncomingMessage, response: ServerResponse, options: ControlHttpOptions): void {
  answerOther(request, options)
    .then((answer) => sendPlain(response, answer))
    .catch((cause: unknown) => {
      // The client is gone, or the answer has a header that Node refuses.
      options.log.warn({ err: cause }, "plain answer not sent");
      response.destroy();
    });
}

/** What is no RPC of ours: a plain route, or a path nobody has. */
async function answerOther(request: IncomingMessage, { routes, api, log }: ControlHttpOptions): Promise<PlainAnswer> {
  const answer = await answerPlain(request, routes, { log, clientAddress: api.clientAddress });
  if (answer !== undefined) return answer;
  if (request.method !== "POST")
    return { status: 404, headers: { "Content-Type": "text/plain" }, body: "Not found.\n" };
  // As on the gRPC port: strangers cannot list methods by trying names.
  const header = new Headers({ authorization: request.headers.authorization ?? "" });
  const error = await errorAfterCredential(header, api.authenticate, unknownMethod());
  return {
    status: codeToHttpStatus(error.code),
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(errorToJson(error, undefined)),
  };
}
