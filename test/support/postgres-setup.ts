// vitest's global setup: hands out databases of one PostgreSQL server per run, which starts with the first request.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type PostgresServer, startPostgres } from "./postgres-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where `createDatabase` asks: POST answers the URL of a new database. */
    postgresBroker: string;
  }
}

/** Starts the broker; the returned function stops it, and the server if there is one. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let server: Promise<PostgresServer> | undefined;
  const broker = createServer(async (_request, response) => {
    // A kept connection may be closed at the moment the next test takes it up.
    response.setHeader("Connection", "close");
    try {
      server ??= startPostgres();
      response.end(await (await server).createDatabase());
    } catch (cause) {
      response.writeHead(500).end(`no PostgreSQL: ${cause instanceof Error ? cause.message : cause}`);
    }
  });
  broker.listen(0, "127.0.0.1");
  await once(broker, "listening");
  project.provide("postgresBroker", `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`);
  return async () => {
    broker.close();
    broker.closeAllConnections();
    await (await server?.catch(() => undefined))?.stop();
  };
}
