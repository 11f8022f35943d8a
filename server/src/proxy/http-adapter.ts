import { type IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ConduitError } from "../model/errors.ts";
import type { AnswerHead, AnswerSink, ProxyRequest } from "./exchange.ts";
import { HttpAnswer, type Upgradable } from "./http-answer.ts";
import { HttpBody } from "./http-body.ts";
import { parserFailure, rawAnswer } from "./parser-failure.ts";

/** Serves one request: sends exactly one answer, never rejects. */
export type Serve = (request: ProxyRequest, sink: AnswerSink) => Promise<void>;

/** Answers what never became a request. */
export type RefuseHeadless = (cause: ConduitError) => { readonly head: AnswerHead; readonly body: string };

type OnRequest = (incoming: IncomingMessage, response: ServerResponse) => void;

/** Listeners for a `node:http` server; what they need of it is in `proxyServerOptions`. */
export interface ProxyHttpHandlers {
  readonly request: OnRequest;
  readonly checkContinue: OnRequest;
  readonly checkExpectation: OnRequest;
  readonly upgrade: (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => void;
  readonly connect: (incoming: IncomingMessage, socket: Duplex) => void;
  readonly clientError: (cause: Error, socket: Duplex) => void;
}

/**
 * The parser must drop no line, or the lines it frames by are not the lines we judge (S1): 0 = no cap of its own. The
 * caps are `maxHeaderSize` and, in the accept stage, 200 lines.
 */
export const PROXY_MAX_HEADERS_COUNT = 0;

/** How `node:http` must parse for the proxy; contract.md 8. Tests may shorten the times. */
export function proxyServerOptions(overrides: ServerOptions = {}): ServerOptions {
  return {
    maxHeaderSize: 32 * 1024,
    insecureHTTPParser: false,
    joinDuplicateHeaders: false,
    // A missing Host is refused in the accept stage, with a body that says so.
    requireHostHeader: false,
    // All others stay requests, which the accept stage refuses; their connections and bodies are the parser's.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    headersTimeout: 10_000,
    // Bodies may take as long as bytes keep coming: `http-body.ts`.
    requestTimeout: 0,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 75_000,
    noDelay: true,
    ...overrides,
  };
}

export interface HttpAdapterOptions {
  /** TLS ends in front of this process (`--behind-tls`). Default false. */
  readonly isBehindTls?: boolean;
  /** Longest pause between bytes of a request body. Default 30 s. */
  readonly bodyIdleMs?: number;
  /** How long a client may take nothing of a complete answer. Default 300 s. */
  readonly readIdleMs?: number;
}

export function createHttpHandlers(
  serve: Serve,
  refuse: RefuseHeadless,
  { isBehindTls = false, bodyIdleMs, readIdleMs }: HttpAdapterOptions = {},
): ProxyHttpHandlers {
  const inFlight = new WeakMap<Duplex, { readonly answer: HttpAnswer; readonly body: HttpBody }>();
  const refused = new WeakSet<Duplex>();

  const handle = (
    incoming: IncomingMessage,
    response: ServerResponse,
    isContinueAwaited: boolean,
    upgradable?: Upgradable,
  ): void => {
    // RFC 9112 9.6: after an answer that closes, nothing more is read on its connection; the bytes may be a body (S3).
    if (inFlight.get(incoming.socket)?.answer.isLast === true) return;
    const sendContinue = isContinueAwaited ? () => response.writeContinue() : undefined;
    const body = new HttpBody(incoming, sendContinue, bodyIdleMs);
    const answer = new HttpAnswer(incoming, response, body, { upgradable, readIdleMs });
    inFlight.set(incoming.socket, { answer, body });
    serve(requestOf(incoming, body, isBehindTls, upgradable !== undefined), answer).catch(() => response.destroy());
  };

  const refuseSocket = (socket: Duplex, cause: ConduitError): void => {
    if (refused.has(socket) || !socket.writable) return void socket.destroy();
    refused.add(socket);
    const { head, body } = refuse(cause);
    socket.end(rawAnswer(head, body));
    // The peer may go on sending, or never close its side.
    setTimeout(() => socket.destroy(), CLOSE_WITHIN_MS).unref();
  };

  return {
    request: (incoming, response) => handle(incoming, response, false),
    checkContinue: (incoming, response) => handle(incoming, response, true),
    // Another expectation: the accept stage says what is wrong with it.
    checkExpectation: (incoming, response) => handle(incoming, response, false),
    upgrade: (incoming, socket, head) => {
      const current = inFlight.get(socket);
      // Pipelined behind a request that is still being answered: two writers on one connection.
      if (current !== undefined && !current.answer.isOver) return void socket.destroy();
      handle(incoming, responseOn(socket as Socket, incoming), false, { socket, head });
    },
    connect: (_incoming, socket) => refuseSocket(socket, new ConduitError("not_supported")),
    clientError: (cause, socket) => {
      const failure = parserFailure(cause);
      if (failure === undefined) return void socket.destroy();
      const current = inFlight.get(socket);
      if (current === undefined || current.answer.isOver) return refuseSocket(socket, failure);
      if (current.answer.isRequestComplete) {
        // These bytes come after a request that is still being answered: its answer first, then the refusal.
        current.answer.onOver(() => refuseSocket(socket, failure));
      } else {
        current.answer.closeAfterwards();
        current.body.fail(failure);
      }
    },
  };
}

/** The answer to a request whose connection Node has let go of; it ends with it, unless it is handed over before. */
function responseOn(socket: Socket, incoming: IncomingMessage): ServerResponse {
  const response = new ServerResponse(incoming);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  socket.on("error", () => undefined);
  socket.on("drain", () => response.emit("drain"));
  response.on("finish", () => {
    // Bytes that nobody reads would make the kernel reset the connection, and the client would lose its answer.
    socket.resume();
    socket.end();
    setTimeout(() => socket.destroy(), CLOSE_WITHIN_MS).unref();
  });
  return response;
}

/** After a refusal on a connection that cannot go on. */
const CLOSE_WITHIN_MS = 2_000;

function requestOf(
  incoming: IncomingMessage,
  body: HttpBody,
  isBehindTls: boolean,
  isUpgradable: boolean,
): ProxyRequest {
  const { socket } = incoming;
  return {
    method: incoming.method ?? "",
    target: incoming.url ?? "",
    httpVersion: incoming.httpVersion,
    headerLines: incoming.rawHeaders,
    peerAddress: socket.remoteAddress ?? "",
    isTls: isBehindTls || isTls(socket),
    isUpgradable,
    body,
  };
}

const isTls = (socket: Socket): boolean => (socket as { encrypted?: boolean }).encrypted === true;
