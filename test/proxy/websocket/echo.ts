// A WebSocket server that sends back what it gets, and clients that reach it through the proxy.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { LINK_ID, LINK_TOKEN, type LinkChanges, type ProxyOptions, startProxy, userToken } from "../harness.ts";

export interface EchoUpstream {
  readonly url: string;
  /** Raw header lines of the handshakes. */
  readonly handshakes: string[][];
  readonly targets: string[];
  readonly sockets: Set<WebSocket>;
  /** Close codes that its sockets saw. */
  readonly closeCodes: number[];
}

/** Sends every message back; selects the first subprotocol that is not `none`. */
export async function startEcho(options: { maxPayload?: number } = {}): Promise<EchoUpstream> {
  const server = createServer();
  const select = (offers: Set<string>) => [...offers].find((offer) => offer !== "none") ?? false;
  const sockets = new WebSocketServer({ server, handleProtocols: select, perMessageDeflate: true, ...options });
  const upstream = { handshakes: [] as string[][], targets: [] as string[], closeCodes: [] as number[] };
  sockets.on("connection", (socket, request) => {
    upstream.handshakes.push(request.rawHeaders);
    upstream.targets.push(request.url ?? "");
    socket.on("message", (data: RawData, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("close", (code) => upstream.closeCodes.push(code));
    socket.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets: sockets.clients, ...upstream };
}

export const HEADERS = () => ({ "x-access-token": LINK_TOKEN, authorization: `Bearer ${userToken()}` });

export async function startWebSocketProxy(
  baseUrl: string,
  link: LinkChanges = {},
  options: Partial<ProxyOptions> = {},
) {
  const proxy = await startProxy({ baseUrl, link: { allowWebsocket: true, ...link }, ...options });
  const open = (path = "/socket", protocols: string[] = [], headers: Record<string, string> = HEADERS()) => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/${LINK_ID}${path}`, protocols, { headers });
    socket.on("error", () => undefined);
    onTestFinished(() => socket.terminate());
    return socket;
  };
  return { proxy, open };
}

export async function closeOf(socket: WebSocket): Promise<[code: number, reason: string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
}

/** Status of a handshake that is refused. */
export async function refusalOf(socket: WebSocket): Promise<[status: number, code: string | undefined]> {
  const [, response] = await once(socket, "unexpected-response");
  return [response.statusCode, response.headers["x-conduit-error"]];
}
