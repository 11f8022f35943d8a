// Process: a proxy that only passes on, dropping hop-by-hop headers and adding two: what ours is compared with.
// Arguments: the way it forwards, the upstream's port.
import { once } from "node:events";
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Dispatcher, Pool } from "undici";
import { serveParent } from "./messages.ts";

const [way = "", port = ""] = process.argv.slice(2);
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
]);
const INJECTED = ["X-Api-Key", "k".repeat(32), "X-User-ID", "user"];

/** Raw lines without the hop-by-hop ones; `names` and values in turn. */
function endToEnd(lines: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? "";
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, lines[at + 1] ?? "");
  }
  return kept;
}

const bodyOf = (request: IncomingMessage): IncomingMessage | null =>
  request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined
    ? request
    : null;

const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 256, pipelining: 1, headersTimeout: 120_000 });

/** undici's everyday call: `request`, its body piped. */
function byRequest(request: IncomingMessage, response: ServerResponse): void {
  const options = optionsOf(request);
  pool.request({ ...options, responseHeaders: "raw" }).then(
    ({ statusCode, headers, body }) => {
      response.writeHead(statusCode, endToEnd(headers as unknown as string[]));
      body.pipe(response);
    },
    () => response.destroy(),
  );
}

/** undici's lowest call: `dispatch` with a handler, as little as a proxy can do. */
function byDispatch(request: IncomingMessage, response: ServerResponse): void {
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => {},
    onResponseStart(controller, statusCode) {
      const raw = controller.rawHeaders;
      const lines = (Array.isArray(raw) ? raw : []).map(String);
      response.on("drain", () => controller.resume());
      response.writeHead(statusCode, endToEnd(lines));
    },
    onResponseData(controller, chunk) {
      if (!response.write(chunk)) controller.pause();
    },
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  };
  pool.dispatch(optionsOf(request), handler);
}

const optionsOf = (request: IncomingMessage) => ({
  path: request.url ?? "/",
  method: (request.method ?? "GET") as Dispatcher.HttpMethod,
  headers: [...endToEnd(request.rawHeaders), ...INJECTED],
  body: bodyOf(request),
});

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** Node's own client. */
function byNodeHttp(request: IncomingMessage, response: ServerResponse): void {
  const headers = ["Host", `127.0.0.1:${port}`, ...endToEnd(request.rawHeaders), ...INJECTED];
  const target = { agent, host: "127.0.0.1", port, path: request.url, method: request.method, headers };
  const outgoing = httpRequest(target, (answer) => {
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
    answer.pipe(response);
  });
  outgoing.on("error", () => response.destroy());
  request.pipe(outgoing);
}

const WAYS: Record<string, typeof byRequest> = { request: byRequest, dispatch: byDispatch, node: byNodeHttp };
const server = createServer(WAYS[way] ?? (() => process.exit(1)));
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1");
await once(server, "listening");
serveParent((server.address() as AddressInfo).port);
