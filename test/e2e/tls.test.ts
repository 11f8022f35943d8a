// promises.md S27: TLS on every listener and on the control channel, end to end, with a certificate of our own.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import jwt from "jsonwebtoken";
import { beforeAll, describe, expect, test } from "vitest";
import { isOnPostgres, startConduit } from "../support/conduit.ts";
import { type ConduitProcess, runConduit } from "../support/conduit-process.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTlsPair, TLS_PAIR } from "../support/tls-pair.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

const HMAC = randomBytes(32).toString("base64");
const PROJECT = "projects/tls";
const LINK_ID = "tls-api";

const files = makeTmpDir("conduit-tls-").path;
const cert = join(files, "cert.pem");
const key = join(files, "key.pem");
/** A certificate that signed nothing here. */
const OTHER_CERTIFICATE = makeTlsPair("other").cert;
const TLS_FLAGS = ["--tls-cert", cert, "--tls-key", key];

let server: ConduitProcess;
let upstream: HttpServer;
let cli: Record<string, string>;

/** JSON over https, trusting our certificate only. */
async function call(url: string, options: RequestOptions = {}, body = ""): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    const sent = request(url, { ca: TLS_PAIR.cert, agent: false, ...options }, (response) => {
      text(response).then((all) => resolve({ status: response.statusCode ?? 0, text: all }), reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function api(method: string, message: Record<string, unknown>): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${cli.CONDUIT_API_KEY}` };
  const url = `${cli.CONDUIT_URL}/conduit.v1.${method}`;
  const answer = await call(url, { method: "POST", headers }, JSON.stringify(message));
  if (answer.status !== 200) throw new Error(`${method}: ${answer.text}`);
  return JSON.parse(answer.text) as Record<string, unknown>;
}

async function joinToken(): Promise<string> {
  const printed = await runConduit(["proxy", "join-token", "--json"], { env: cli });
  if (printed.exit !== 0) throw new Error(printed.stderr);
  return (JSON.parse(printed.stdout) as { join_token: string }).join_token;
}

beforeAll(async () => {
  writeFileSync(cert, TLS_PAIR.cert);
  writeFileSync(key, TLS_PAIR.key, { mode: 0o600 });
  const dataDir = makeTmpDir("conduit-server-").path;
  const env = {
    CONDUIT_MASTER_KEY: randomBytes(32).toString("base64"),
    ...(isOnPostgres && { DATABASE_URL: await createDatabase() }),
  };
  const created = await runConduit(
    ["api-key", "create", "--role", "operator", "--local", "--json", "--data-dir", dataDir],
    { env },
  );
  upstream = await startHttpServer(() => ({ body: "served" }));
  server = await startConduit("server", { dataDir, env, args: ["--host", "127.0.0.1", ...TLS_FLAGS] });
  cli = {
    CONDUIT_URL: `https://localhost:${server.ports.http}`,
    CONDUIT_API_KEY: (JSON.parse(created.stdout) as { key: string }).key,
    NODE_EXTRA_CA_CERTS: cert,
  };
  await api("ProjectService/CreateProject", { projectId: "tls" });
  for (const [secretId, value] of Object.entries({ "api-key": "sk-upstream-key", hmac: HMAC }))
    await api("SecretService/CreateSecret", { parent: PROJECT, secretId, secret: { value } });
  const hs256 = { secret: `${PROJECT}/secrets/hmac` };
  await api("IssuerService/CreateIssuer", { parent: PROJECT, issuerId: "own", issuer: { iss: "tls", hs256 } });
  await api("LinkService/CreateLink", {
    parent: PROJECT,
    linkId: LINK_ID,
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      injections: [{ bearer: {}, secret: `${PROJECT}/secrets/api-key` }],
      issuers: [`${PROJECT}/issuers/own`],
      rules: [{ path: "/users/{jwt.sub}/*" }],
    },
  });
}, 120_000);

const proxyArgs = (...more: string[]) => [
  "--host",
  "127.0.0.1",
  "--control",
  `localhost:${server.ports.grpc}`,
  ...more,
];

describe("S27: with certificates of one's own", () => {
  test("server and proxy speak TLS everywhere, and the main job works", async () => {
    const env = { CONDUIT_JOIN_TOKEN: await joinToken() };
    const proxy = await startConduit("proxy", { env, args: proxyArgs("--control-ca", cert, ...TLS_FLAGS) });
    const created = await api("LinkTokenService/CreateLinkToken", {
      parent: `${PROJECT}/links/${LINK_ID}`,
      linkToken: {},
    });
    const { token } = created.linkToken as { token: string };
    const headers = {
      "x-access-token": token,
      authorization: `Bearer ${jwt.sign({ sub: "7", iss: "tls" }, HMAC, { expiresIn: "5m" })}`,
    };
    const answer = await until("the link is served", async () => {
      const one = await call(`https://localhost:${proxy.ports.proxy}/${LINK_ID}/users/7/orders`, { headers });
      return one.status === 200 ? one : undefined;
    });
    expect(answer.text).toBe("served");
    expect(upstream.requests.at(-1)?.header("authorization")).toEqual(["Bearer sk-upstream-key"]);
    for (const port of [proxy.ports.proxy, server.ports.http, server.ports.grpc]) {
      expect(await plainAnswer(port)).not.toMatch(/^HTTP\/1\.1 2/);
    }
  });

  test("a proxy that does not know the authority does not join: its token stays unspent", async () => {
    const env = { CONDUIT_JOIN_TOKEN: await joinToken() };
    const dataDir = makeTmpDir("conduit-proxy-").path;
    const stranger = runConduit(["proxy", "--data-dir", dataDir, ...proxyArgs("--control-ca", otherAuthority())], {
      env,
    });
    const refused = await stranger;
    expect([refused.exit, refused.stderr]).toEqual([5, expect.stringMatching(/no control plane answers at --control/)]);
    const proxy = await startConduit("proxy", { env, args: proxyArgs("--control-ca", cert) });
    expect(proxy.stdout).toContain("conduit ready");
  });
});

function otherAuthority(): string {
  const path = join(files, "other.pem");
  writeFileSync(path, OTHER_CERTIFICATE);
  return path;
}

/** What a port says to a client without TLS. */
async function plainAnswer(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.end("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  return await text(socket).catch(() => "");
}
