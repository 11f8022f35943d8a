// Process: an upstream that answers every request with the same small JSON, and `/jwks.json` with the keys it was given.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serveParent } from "./messages.ts";

const BODY = Buffer.from(JSON.stringify({ items: Array.from({ length: 8 }, (_, id) => ({ id, name: `item ${id}` })) }));
const jwks = Buffer.from(process.argv[2] ?? "{}", "base64");

const server = createServer((request, response) => {
  const body = request.url === "/jwks.json" ? jwks : BODY;
  request.resume();
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length });
  response.end(body);
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1");
await once(server, "listening");
serveParent((server.address() as AddressInfo).port);
