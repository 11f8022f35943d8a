import type { Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";

/** How long what is in flight may take at a stop (contract.md 8). */
export const DRAIN_MS = 30_000;

/** How often connections that have become idle are looked for. */
const IDLE_CHECK_MS = 50;

/**
 * Stops a `node:http` server without failing anybody: no new connections, idle ones closed, answers in flight finished
 * and their connections closed; after `graceMs` the rest is cut.
 */
export async function drainHttp(server: HttpServer | HttpsServer, graceMs = DRAIN_MS): Promise<void> {
  if (!server.listening) return;
  // A request that was already on its way is served, and told that its connection ends here.
  server.prependListener("request", (_request: unknown, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const end = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(end);
}
