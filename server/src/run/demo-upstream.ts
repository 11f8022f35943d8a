import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { SecretText } from "../model/secret-text.ts";

/** Header in which the demo upstream wants its key. */
export const DEMO_KEY_HEADER = "X-Api-Key";
const EVENT_INTERVAL_MS = 1_000;
const BODY_MAX_BYTES = 10 * 1024 * 1024;

export interface DemoUpstream {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * The API behind the demo links, as an API with a key is: 403 without it, and with it an account of what arrived, the
 * key itself replaced by its fingerprint. `GET /events` streams one server-sent event a second.
 * @param port tried first; 0 or a port in use = any free one
 */
export async function startDemoUpstream(key: SecretText, port: number): Promise<DemoUpstream> {
  const server = createServer((request, response) => void answer(key, request, response));
  await listen(server, port).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    return listen(server, 0);
  });
  const bound = (server.address() as AddressInfo).port;
  return { url: `http://127.0.0.1:${bound}`, port: bound, close: () => close(server) };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

async function answer(key: SecretText, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const expected = sha256(key.reveal());
  const presented = sha256(request.headers[DEMO_KEY_HEADER.toLowerCase()]?.toString() ?? "");
  if (!timingSafeEqual(expected, presented)) {
    sendJson(response, 403, { error: `this API needs its key in ${DEMO_KEY_HEADER}` });
  } else if (request.url?.split("?")[0] === "/events") {
    streamEvents(response);
  } else {
    await echo(request, response, expected);
  }
}

async function echo(request: IncomingMessage, response: ServerResponse, keyHash: Buffer): Promise<void> {
  const body = await buffer(request).catch(() => undefined);
  if (body === undefined || body.length > BODY_MAX_BYTES) {
    response.destroy();
    return;
  }
  const hidden = `[hidden key, sha256 ${keyHash.toString("hex").slice(0, 8)}]`;
  const isKey = (name: string | undefined) => name?.toLowerCase() === DEMO_KEY_HEADER.toLowerCase();
  const headers: Array<[string, string]> = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const [name, value] = [request.rawHeaders[i] ?? "", request.rawHeaders[i + 1] ?? ""];
    headers.push([name, isKey(name) ? hidden : value]);
  }
  const { method, url: target } = request;
  sendJson(response, 200, { method, target, headers, body: body.toString("utf8"), key_ok: true });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(`${JSON.stringify(value, null, 2)}\n`);
}

function streamEvents(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  let id = 0;
  const send = () => {
    id += 1;
    response.write(`id: ${id}\nevent: tick\ndata: {"tick":${id}}\n\n`);
  };
  send();
  const timer = setInterval(send, EVENT_INTERVAL_MS);
  response.once("close", () => clearInterval(timer));
}
