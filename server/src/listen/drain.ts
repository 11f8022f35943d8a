import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

/** How long what is in flight may take at a stop (contract.md 8). */
export const DRAIN_MS = 30_000;

/** How often connections that have become idle are looked for. */
const IDLE_CHECK_MS = 50;

/** How long a connection that has not sent a whole request yet may go on doing so. */
const SILENT_MS = 1_000;

/** A `node:http` or `node:https` server that can be drained. */
export type AnyHttpServer = HttpServer | HttpsServer;

/**
 * Makes the function that stops a server without failing anybody: no new connections, idle ones closed, answers in flight
 * finished and their connections closed; after `graceMs` the rest is cut. Call it before the server listens.
 * @param hasUpgrades the server hands connections over: Node knows no more of them, they are ended like silent ones
 */
export function drainOf(
  server: AnyHttpServer,
  isTls: boolean,
  hasUpgrades = false,
): (graceMs?: number) => Promise<void> {
  // Node counts a connection without any request as active, and would wait for it.
  const silent = new Set<Socket>();
  const watch = (socket: Socket): void => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  };
  server.on(isTls ? "secureConnection" : "connection", watch);
  server.on("request", (request: IncomingMessage) => silent.delete(request.socket));
  if (hasUpgrades) server.on("upgrade", ({ socket }: IncomingMessage) => watch(socket));
  let drained: Promise<void> | undefined;
  return (graceMs = DRAIN_MS) => {
    drained ??= drain(server, silent, graceMs);
    return drained;
  };
}

async function drain(server: AnyHttpServer, silent: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // A request that was already on its way is served, and told that its connection ends here.
  server.prependListener("request", (_request: unknown, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timers = [
    setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS),
    setTimeout(() => destroyAll(silent), Math.min(SILENT_MS, graceMs)),
    setTimeout(() => server.closeAllConnections(), graceMs),
  ];
  await closed;
  timers.forEach(clearTimeout);
}

function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of sockets) socket.destroy();
}
