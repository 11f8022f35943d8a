// A whole installation for end-to-end tests: `conduit dev` on PGlite, or (CONDUIT_TEST_DATABASE=postgres) a server on
// PostgreSQL and a proxy apart that joined it.
import { randomBytes } from "node:crypto";
import { type ControlClient, createControlClient } from "@conduit-link/sdk/server";
import { isOnPostgres, startConduit } from "./conduit.ts";
import { type ConduitProcess, runConduit } from "./conduit-process.ts";
import { createDatabase } from "./postgres.ts";
import { makeTmpDir } from "./tmp-dir.ts";

export interface Stack {
  readonly proxyUrl: string;
  readonly controlUrl: string;
  /** `127.0.0.1:<port>`. */
  readonly grpcAddress: string;
  /** Operator key. */
  readonly apiKey: string;
  readonly control: ControlClient;
  readonly processes: readonly ConduitProcess[];
}

/** What a server and a proxy apart need to start again where they were. */
export interface ApartStack extends Stack {
  readonly server: ConduitProcess;
  readonly proxy: ConduitProcess;
  /** Environment of the server: master key and database. */
  readonly serverEnv: Readonly<Record<string, string>>;
}

/** Starts an installation; its processes end with the test file. */
export async function startStack(): Promise<Stack> {
  if (isOnPostgres) return startApart();
  const dev = await startConduit("dev");
  const { proxy_url, control_url, grpc_address, api_key } = dev.dev;
  return stackOf(proxy_url, control_url, grpc_address, api_key, [dev]);
}

/**
 * Starts `conduit server` and `conduit proxy` apart, on loopback, the proxy joined by a join token.
 * @param databaseUrl of a PostgreSQL database of the test's own
 */
export async function startApart(databaseUrl?: string): Promise<ApartStack> {
  const serverDir = makeTmpDir("conduit-server-").path;
  const serverEnv = {
    CONDUIT_MASTER_KEY: randomBytes(32).toString("base64"),
    ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }),
    ...(databaseUrl === undefined && isOnPostgres && { DATABASE_URL: await createDatabase() }),
  };
  const created = await runConduit(
    ["api-key", "create", "--role", "operator", "--local", "--json", "--data-dir", serverDir],
    { env: serverEnv },
  );
  if (created.exit !== 0) throw new Error(`api-key create: ${created.stderr}`);
  const apiKey = (JSON.parse(created.stdout) as { key: string }).key;
  const server = await startConduit("server", { dataDir: serverDir, env: serverEnv, args: ["--host", "127.0.0.1"] });
  const controlUrl = `http://127.0.0.1:${server.ports.http}`;
  const grpcAddress = `127.0.0.1:${server.ports.grpc}`;
  const proxy = await joinProxy(controlUrl, grpcAddress, apiKey);
  const stack = stackOf(`http://127.0.0.1:${proxy.ports.proxy}`, controlUrl, grpcAddress, apiKey, [server, proxy]);
  return { ...stack, server, proxy, serverEnv };
}

/** Starts one more proxy, joined by a token of its own. */
export async function joinProxy(controlUrl: string, grpcAddress: string, apiKey: string): Promise<ConduitProcess> {
  const env = { CONDUIT_URL: controlUrl, CONDUIT_API_KEY: apiKey };
  const printed = await runConduit(["proxy", "join-token", "--json"], { env });
  if (printed.exit !== 0) throw new Error(`proxy join-token: ${printed.stderr}`);
  const { join_token } = JSON.parse(printed.stdout) as { join_token: string };
  return startConduit("proxy", {
    dataDir: makeTmpDir("conduit-proxy-").path,
    env: { CONDUIT_JOIN_TOKEN: join_token },
    args: ["--host", "127.0.0.1", "--control", grpcAddress],
  });
}

const stackOf = (
  proxyUrl: string,
  controlUrl: string,
  grpcAddress: string,
  apiKey: string,
  processes: readonly ConduitProcess[],
): Stack => ({
  proxyUrl,
  controlUrl,
  grpcAddress,
  apiKey,
  processes,
  control: createControlClient({ url: controlUrl, apiKey }),
});
