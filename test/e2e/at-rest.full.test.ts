// promises.md S22 on a real PostgreSQL: a hundred known secrets of every kind are made and used; then everything that
// could have kept one is searched: a dump, the raw data directory with its WAL, logs, metrics, the processes' folders.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { searchFor } from "../support/secret-search.ts";
import { type ApartStack, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const PROJECT = "projects/vault";
const LINK = `${PROJECT}/links/vault-api`;
/** Of each kind. */
const EACH = 10;
const numbers = Array.from({ length: EACH }, (_, index) => index);

let database: PostgresServer;
let stack: ApartStack;
let upstream: HttpServer;
/** Every secret that was given or shown, by what it is; what is not text as bytes. */
const secrets = new Map<string, string | Buffer>();
/** Command lines of all processes, looked at while they work. */
const commandLines = new Set<string>();
/** What the API answered to reading calls. */
const answers: string[] = [];

const call = async (service: string, method: string, message: Record<string, unknown>) =>
  (await stack.control.call(`conduit.v1.${service}`, method, message)) as Record<string, unknown>;
const keep = (name: string, secret: unknown): string => {
  if (typeof secret !== "string" || secret.length < 20) throw new Error(`${name} was not given`);
  secrets.set(name, secret);
  return secret;
};
const at = (answer: Record<string, unknown>, noun: string, field: string) =>
  (answer[noun] as Record<string, unknown> | undefined)?.[field];

beforeAll(async () => {
  [database, upstream] = await Promise.all([startPostgres(), startHttpServer(() => ({ body: { ok: true } }))]);
  stack = await startApart(await database.createDatabase());
  const looking = setInterval(lookAtCommandLines, 100);
  try {
    await makeSecrets();
    await useSecrets();
  } finally {
    clearInterval(looking);
  }
}, 180_000);
afterAll(async () => {
  await Promise.all(stack.processes.map((it) => it.stop()));
  await Promise.all([upstream.close(), database.stop()]);
});

function lookAtCommandLines(): void {
  for (const path of globSync("/proc/[0-9]*/cmdline"))
    try {
      commandLines.add(readFileSync(path, "latin1"));
    } catch {
      // The process has ended meanwhile.
    }
}

async function makeSecrets(): Promise<void> {
  keep("operator key", stack.apiKey);
  const masterKey = keep("master key", stack.serverEnv.CONDUIT_MASTER_KEY);
  secrets.set("master key's bytes", Buffer.from(masterKey, "base64"));
  keep(
    "credential of the proxy that serves",
    readFileSync(join(stack.proxy.dataDir, "proxy.credential"), "utf8").trim(),
  );
  await call("ProjectService", "CreateProject", { projectId: "vault" });
  await makeValues();
  await makeLink();
  for (const index of numbers) await makeTokensAndKeys(index);
  for (const index of numbers) await makeSession(index);
  await importSigningKey();
}

/** Upstream keys with their successors, HMAC secrets in each encoding. */
async function makeValues(): Promise<void> {
  const create = (secretId: string, value: string) =>
    call("SecretService", "CreateSecret", {
      parent: PROJECT,
      secretId,
      secret: { value },
      requestId: crypto.randomUUID(),
    });
  for (const index of numbers) {
    await create(
      `upstream-${index}`,
      keep(`upstream key ${index}`, `sk_live_${randomBytes(24).toString("base64url")}`),
    );
    const nextValue = keep(`next upstream key ${index}`, `sk_next_${randomBytes(24).toString("base64url")}`);
    await call("SecretService", "UpdateSecret", {
      secret: { name: `${PROJECT}/secrets/upstream-${index}`, nextValue },
      updateMask: "nextValue",
    });
    const bytes = randomBytes(48);
    const [encoding, text] = [
      ["UTF8", bytes.toString("base64url")],
      ["BASE64", bytes.toString("base64")],
      ["HEX", bytes.toString("hex")],
    ][index % 3] as [string, string];
    await create(`hmac-${index}`, keep(`HMAC secret ${index}`, text));
    if (encoding !== "UTF8") secrets.set(`HMAC secret ${index}'s bytes`, bytes);
    const hs256 = { secret: `${PROJECT}/secrets/hmac-${index}`, encoding: `SECRET_ENCODING_${encoding}` };
    const issuer = { iss: `https://issuer-${index}.example`, hs256 };
    await call("IssuerService", "CreateIssuer", { parent: PROJECT, issuerId: `hmac-${index}`, issuer });
  }
}

const makeLink = () =>
  call("LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: "vault-api",
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      injections: numbers.slice(0, 8).map((index) => ({
        header: {},
        name: `X-Key-${index}`,
        secret: `${PROJECT}/secrets/upstream-${index}`,
      })),
      issuers: [`${PROJECT}/issuers/built-in`, ...numbers.map((index) => `${PROJECT}/issuers/hmac-${index}`)],
      rules: [{ path: "/**" }],
      limits: [{ name: "per-user", requests: 100_000, burst: 10_000 }],
    },
  });

async function makeTokensAndKeys(index: number): Promise<void> {
  const requestId = () => crypto.randomUUID();
  const linkToken = await call("LinkTokenService", "CreateLinkToken", {
    parent: LINK,
    linkToken: {},
    requestId: requestId(),
  });
  keep(`link token ${index}`, at(linkToken, "linkToken", "token"));
  const apiKey = await call("ApiKeyService", "CreateApiKey", {
    parent: PROJECT,
    apiKey: { role: "ROLE_MINTER" },
    requestId: requestId(),
  });
  keep(`API key ${index}`, at(apiKey, "apiKey", "key"));
  const rotated = await call("ApiKeyService", "RotateApiKey", { name: at(apiKey, "apiKey", "name") });
  keep(`rotated API key ${index}`, at(rotated, "apiKey", "key"));
  const debugKey = await call("LinkService", "CreateDebugKey", { parent: LINK, requestId: requestId() });
  keep(`debug key ${index}`, debugKey.debugKey);
  const { joinToken } = await call("ProxyService", "CreateJoinToken", {});
  keep(`join token ${index}`, joinToken);
  // Half of them stay unused.
  if (index % 2 === 0)
    keep(`proxy credential ${index}`, (await call("ProxyService", "JoinProxy", { joinToken })).credential);
}

async function makeSession(index: number): Promise<void> {
  const opened = await stack.control.mintToken({
    parent: PROJECT,
    subject: `user-${index}`,
    links: [LINK],
    session: {},
  });
  keep(`access token ${index}`, opened.accessToken);
  const refreshed = await stack.control.refreshToken({
    refreshToken: keep(`refresh token ${index}`, opened.refreshToken),
  });
  keep(`second access token ${index}`, refreshed.accessToken);
  keep(`second refresh token ${index}`, refreshed.refreshToken);
}

async function importSigningKey(): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { d = "" } = privateKey.export({ format: "jwk" });
  secrets.set("imported signing key", d);
  secrets.set("imported signing key's bytes", Buffer.from(d, "base64url"));
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  secrets.set("imported signing key's PEM", pem.split("\n")[1] ?? "");
  await call("SigningKeyService", "CreateSigningKey", {
    parent: PROJECT,
    signingKey: { algorithm: "ES256" },
    privateKey: pem,
  });
}

/** Right calls, and wrong ones with secrets in places where they do not belong. */
async function useSecrets(): Promise<void> {
  const text = (name: string) => String(secrets.get(name));
  const proxied = (path: string, headers: Record<string, string>) => fetch(`${stack.proxyUrl}${path}`, { headers });
  await until("the link is served", async () => {
    const headers = { "x-access-token": text("link token 0"), authorization: `Bearer ${text("access token 0")}` };
    return (await proxied("/vault-api/x", headers)).status === 200 ? true : undefined;
  });
  for (const index of numbers) {
    const headers = {
      "x-access-token": text(`link token ${index}`),
      authorization: `Bearer ${text(`second access token ${index}`)}`,
      "x-debug-jwt": text(`debug key ${index}`),
    };
    await proxied("/vault-api/x", headers);
    await proxied(`/vault-api/x?token=${text(`access token ${index}`)}`, {
      ...headers,
      authorization: `Bearer ${text(`API key ${index}`)}`,
    });
    await proxied(`/vault-api/${text(`link token ${index}`)}`, {
      authorization: `Bearer ${text(`refresh token ${index}`)}`,
    });
    await misuse(text, index);
  }
  await call("TokenService", "RevokeToken", { parent: PROJECT, token: text("access token 9") });
  for (const [service, method, noun] of READS)
    answers.push(JSON.stringify(await call(service, method, { parent: noun })));
}

const READS = [
  ["SecretService", "ListSecrets", PROJECT],
  ["IssuerService", "ListIssuers", PROJECT],
  ["LinkService", "ListLinks", PROJECT],
  ["LinkTokenService", "ListLinkTokens", LINK],
  ["ApiKeyService", "ListApiKeys", PROJECT],
  ["SigningKeyService", "ListSigningKeys", PROJECT],
  ["SessionService", "ListSessions", PROJECT],
  ["AuditService", "ListAuditEvents", PROJECT],
] as const;

async function misuse(text: (name: string) => string, index: number): Promise<void> {
  const rpc = (method: string, body: string, key = stack.apiKey) =>
    fetch(`${stack.controlUrl}/conduit.v1.${method}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body,
    });
  const basic = Buffer.from(`client:${text(`API key ${index}`)}`).toString("base64");
  const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: text(`refresh token ${index}`) });
  const sent = [
    rpc(
      "SecretService/CreateSecret",
      JSON.stringify({ parent: PROJECT, secretId: "Not An Id", secret: { value: text(`upstream key ${index}`) } }),
    ),
    rpc("SecretService/CreateSecret", `{"parent": ${text(`next upstream key ${index}`)}`),
    rpc("LinkService/GetLink", JSON.stringify({ name: text(`join token ${index}`) })),
    rpc("LinkService/ListLinks", JSON.stringify({ parent: PROJECT }), text(`link token ${index}`)),
    rpc(
      "TokenService/IntrospectToken",
      JSON.stringify({ parent: PROJECT, token: text(`second access token ${index}`) }),
    ),
    rpc(
      "TokenService/VerifyToken",
      JSON.stringify({
        link: LINK,
        token: text(`second access token ${index}`),
        linkToken: text(`link token ${index}`),
      }),
    ),
    // Used twice: reuse is found, audited and logged.
    rpc("TokenService/RefreshToken", JSON.stringify({ refreshToken: text(`refresh token ${index}`) }), ""),
    fetch(`${stack.controlUrl}/p/vault/oauth/token`, {
      method: "POST",
      headers: { authorization: `Basic ${basic}` },
      body: form,
    }),
    fetch(`${stack.controlUrl}/p/vault/oauth/token?client_secret=${text(`API key ${index}`)}`, {
      method: "POST",
      body: form,
    }),
  ];
  answers.push(...(await Promise.all(sent.slice(0, 6).map(async (it) => (await it).text()))));
  await Promise.all(sent);
}

/** Everything that may have kept something, by name. */
async function places(): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const sql = postgres(stack.serverEnv.DATABASE_URL ?? "", { max: 1 });
  try {
    const tables =
      await sql`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`;
    for (const { name } of tables) {
      const rows = await sql.unsafe(`copy ${name} to stdout`).readable();
      found.set(`dump of ${name}`, Buffer.concat(await rows.toArray()));
    }
    await sql`checkpoint`;
    const [setting] = await sql`select current_setting('data_directory') as path`;
    addFolder(found, String(setting?.path));
  } finally {
    await sql.end();
  }
  for (const [name, { dataDir, stdout, stderr, ports }] of Object.entries({
    server: stack.server,
    proxy: stack.proxy,
  })) {
    found.set(`${name}'s log`, Buffer.from(stdout + stderr));
    found.set(`${name}'s metrics`, Buffer.from(await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text()));
    addFolder(found, dataDir);
  }
  found.set("command lines", Buffer.from([...commandLines].join("\n"), "latin1"));
  found.set("answers", Buffer.from(answers.join("\n")));
  return found;
}

function addFolder(found: Map<string, Buffer>, folder: string): void {
  // The one file here that may hold its secret: what the proxy shows who it is with.
  for (const entry of globSync("**", { cwd: folder, withFileTypes: true }))
    if (entry.isFile() && entry.name !== "proxy.credential") {
      const path = join(entry.parentPath, entry.name);
      found.set(path, readFileSync(path));
    }
}

test("S22: dump, data directory, WAL, logs, metrics, snapshots and command lines hold none of a hundred known secrets", async () => {
  expect(secrets.size).toBeGreaterThanOrEqual(100);
  await until("the proxy's snapshot is written", () =>
    globSync("config.snapshot", { cwd: stack.proxy.dataDir }).length > 0 ? true : undefined,
  );
  const all = await places();
  const named = (part: string) => [...all].filter(([name]) => name.includes(part));
  const holds = (part: string, text: string) => named(part).some(([, bytes]) => bytes.includes(text));
  // What must be there, or the search has looked at nothing.
  expect([holds("dump of public.", "vault-api"), holds("/base/", "vault-api"), holds("/pg_wal/", "vault-api")]).toEqual(
    [true, true, true],
  );
  expect([
    holds("server's log", '"level"'),
    holds("proxy's metrics", "conduit"),
    named("config.snapshot").length,
  ]).toEqual([true, true, 1]);
  expect([holds("command lines", "server/bin/conduit.mjs"), holds("answers", "fingerprint")]).toEqual([true, true]);
  const search = searchFor(secrets);
  const leaks = [...all].flatMap(([name, bytes]) => search.find(bytes).map((secret) => `${secret} in ${name}`));
  const megabytes = [...all.values()].reduce((sum, bytes) => sum + bytes.length, 0) / 1e6;
  process.stdout.write(
    `S22: ${secrets.size} secrets in ${search.size} spellings, ${all.size} places, ${megabytes.toFixed(0)} MB\n`,
  );
  expect(leaks).toEqual([]);
}, 120_000);
