// Rollout and the proxies' identity with real processes: one server, proxies apart.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { ConduitProcess } from "../support/conduit-process.ts";
import { runConduit } from "../support/conduit-process.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type ApartStack, joinProxy, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const PARENT = "projects/fleet";
const SECRET = `${PARENT}/secrets/api-key`;
const LINK = `${PARENT}/links/fleet-api`;

let stack: ApartStack;
let upstream: HttpServer;
let linkToken: string;

const call = <Answer>(service: string, method: string, message: Record<string, unknown>) =>
  stack.control.call<Answer>(`conduit.v1.${service}`, method, message);
const conduit = (...args: string[]) =>
  runConduit([...args, "--json"], { env: { CONDUIT_URL: stack.controlUrl, CONDUIT_API_KEY: stack.apiKey } });
const setKey = (value: string) =>
  call<{ configSequence: string }>("SecretService", "UpdateSecret", { secret: { name: SECRET, value } });
const joinOne = () => joinProxy(stack.controlUrl, stack.grpcAddress, stack.apiKey);

beforeAll(async () => {
  [stack, upstream] = await Promise.all([startApart(), startHttpServer(() => ({ body: "served" }))]);
  await call("ProjectService", "CreateProject", { projectId: "fleet" });
  await call("SecretService", "CreateSecret", {
    parent: PARENT,
    secretId: "api-key",
    secret: { value: "upstream-key-0" },
  });
  await call("LinkService", "CreateLink", {
    parent: PARENT,
    linkId: "fleet-api",
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      injections: [{ bearer: {}, secret: SECRET }],
      rules: [{ path: "/**" }],
      limits: [{ name: "all", requests: 100_000, burst: 10_000 }],
    },
  });
  const created = await call<{ linkToken?: { token: string } }>("LinkTokenService", "CreateLinkToken", {
    parent: LINK,
    linkToken: {},
  });
  linkToken = created.linkToken?.token ?? "";
}, 120_000);

/** The key with which the upstream was called through a proxy; undefined = it was not. */
async function keySeen(proxy: ConduitProcess): Promise<string | undefined> {
  const before = upstream.requests.length;
  const response = await fetch(`http://127.0.0.1:${proxy.ports.proxy}/fleet-api/x`, {
    headers: { "X-Access-Token": linkToken },
  });
  await response.arrayBuffer();
  return upstream.requests.length === before ? undefined : upstream.requests.at(-1)?.header("authorization")[0];
}

const serves = (proxy: ConduitProcess, key: string) =>
  until(`the upstream is called with ${key}`, async () =>
    (await keySeen(proxy)) === `Bearer ${key}` ? true : undefined,
  );

/** Names of the proxies, the newest last. */
async function proxyNames(): Promise<string[]> {
  const rows = JSON.parse((await conduit("proxy", "list")).stdout) as Array<{ name: string }>;
  return rows.map(({ name }) => name);
}

const readyText = async (proxy: ConduitProcess) => (await fetch(`http://127.0.0.1:${proxy.ports.admin}/readyz`)).text();

test("rollout wait: 0 once every proxy has a change, 5 with counts while one is stopped, 0 when that goes on", async () => {
  const second = await joinOne();
  await serves(stack.proxy, "upstream-key-0");
  const { configSequence } = await setKey("upstream-key-1");
  const done = await conduit("rollout", "wait", "--sequence", configSequence, "--timeout", "20s");
  expect(JSON.parse(done.stdout)).toMatchObject({ complete: true, live: 2, applied: 2, missing: 0 });
  expect(done.exit).toBe(0);
  for (const proxy of [stack.proxy, second]) expect(await keySeen(proxy)).toBe("Bearer upstream-key-1");

  process.kill(second.pid, "SIGSTOP");
  const stuck = await setKey("upstream-key-2");
  const waited = await conduit("rollout", "wait", "--timeout", "2s");
  expect(waited.exit).toBe(5);
  expect(JSON.parse(waited.stdout)).toMatchObject({ complete: false, live: 2, applied: 1, missing: 1 });
  expect(waited.stderr).toContain(`1 of 2 live proxies have applied ${stuck.configSequence}`);
  const waiting = conduit("rollout", "wait", "--timeout", "20s");
  await delay(200);
  process.kill(second.pid, "SIGCONT");
  expect((await waiting).exit).toBe(0);
  expect(await keySeen(second)).toBe("Bearer upstream-key-2");
  await second.stop();
}, 90_000);

/** Whether the control plane takes a proxy's credential. */
async function isTaken(credential: string): Promise<boolean> {
  const response = await fetch(`${stack.controlUrl}/conduit.v1.ConfigService/ReportUsage`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
    body: JSON.stringify({ batchId: crypto.randomUUID() }),
  });
  await response.arrayBuffer();
  return response.status === 200;
}

const filesOf = ({ dataDir }: ConduitProcess) => ({
  path: join(dataDir, "proxy.credential"),
  next: join(dataDir, "proxy.credential.next"),
});
const credentialOf = (proxy: ConduitProcess) => readFileSync(filesOf(proxy).path, "utf8").trim();
const startAgain = ({ dataDir }: ConduitProcess) =>
  startConduit("proxy", { dataDir, args: ["--host", "127.0.0.1", "--control", stack.grpcAddress] });

test("a credential is replaced on demand, also when the proxy is killed meanwhile, and the old one is refused", async () => {
  const before = await proxyNames();
  let proxy = await joinOne();
  const name = (await proxyNames()).find((one) => !before.includes(one)) ?? "";
  await setKey("upstream-key-5");
  await serves(proxy, "upstream-key-5");
  const old = credentialOf(proxy);
  expect(await isTaken(old)).toBe(true);
  expect((await conduit("proxy", "rotate", name)).exit).toBe(0);
  await until("the credential is another", () => (credentialOf(proxy) === old ? undefined : true), 20_000);
  expect([await isTaken(old), await isTaken(credentialOf(proxy))]).toEqual([false, true]);
  expect(statSync(filesOf(proxy).path).mode & 0o777).toBe(0o600);
  expect(existsSync(filesOf(proxy).next)).toBe(false);

  for (const [round, killAfterMs] of [0, 5, 20].entries()) {
    const shown = credentialOf(proxy);
    await conduit("proxy", "rotate", name);
    const begun = until("a rotation has begun", () => (existsSync(filesOf(proxy).next) ? true : undefined), 20_000);
    const done = until("it has ended", () => (credentialOf(proxy) === shown ? undefined : true), 20_000);
    // The one that does not come any more, once it is killed, is no failure.
    void Promise.allSettled([begun, done]);
    await Promise.race([begun, done]);
    await delay(killAfterMs);
    await proxy.stop("SIGKILL");
    proxy = await startAgain(proxy);
    await setKey(`upstream-key-of-round-${round}`);
    await serves(proxy, `upstream-key-of-round-${round}`);
    await until("the rotation is finished", () => (existsSync(filesOf(proxy).next) ? undefined : true), 20_000);
    expect(await isTaken(credentialOf(proxy))).toBe(true);
  }
  expect(await isTaken(old)).toBe(false);
  const seen = await keySeen(proxy);
  // A kill may cost the changes of the last quarter of a second: they come again by the stream, which is not there here.
  await delay(1_000);
  await proxy.stop("SIGKILL");
  process.kill(stack.server.pid, "SIGSTOP");
  try {
    const fromDisk = await startAgain(proxy);
    expect(await keySeen(fromDisk)).toBe(seen);
    await fromDisk.stop();
  } finally {
    process.kill(stack.server.pid, "SIGCONT");
  }
}, 180_000);

test("a revoked proxy's stream ends and it gets nothing new; the other goes on with what is changed afterwards", async () => {
  const before = await proxyNames();
  const lost = await joinOne();
  const name = (await proxyNames()).find((one) => !before.includes(one)) ?? "";
  const { configSequence } = await setKey("upstream-key-3");
  // The proxy of the test before counts for the 30 s in which it may come back.
  expect((await conduit("rollout", "wait", "--sequence", configSequence, "--timeout", "45s")).exit).toBe(0);
  await serves(lost, "upstream-key-3");

  const refused = await conduit("proxy", "revoke", name);
  expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining("--yes")]);
  const revoked = await conduit("proxy", "revoke", name, "--yes", "--reason", "test");
  expect([revoked.exit, JSON.parse(revoked.stdout)]).toEqual([0, expect.objectContaining({ name })]);
  const told = await until("it says that it was revoked", async () => {
    const text = await readyText(lost);
    return text.includes("revoked") ? text : undefined;
  });
  expect(told).toContain("this proxy has been revoked");

  await setKey("upstream-key-4");
  await serves(stack.proxy, "upstream-key-4");
  const rollout = await conduit("rollout", "wait", "--timeout", "20s");
  expect(JSON.parse(rollout.stdout)).toMatchObject({ complete: true, missing: 0, rejecting: 0 });
  await delay(2_000);
  expect(await keySeen(lost)).toBe("Bearer upstream-key-3");
  const rows = JSON.parse((await conduit("proxy", "list")).stdout) as Array<Record<string, unknown>>;
  expect(rows.find((row) => row.name === name)).toMatchObject({ state: "REVOKED", connected: false });
  await lost.stop();

  // Not only in memory: the other starts again without a control plane, from what it has on disk under the new key.
  await stack.server.stop("SIGKILL");
  await stack.proxy.stop("SIGKILL");
  const again = await startAgain(stack.proxy);
  expect(await keySeen(again)).toBe("Bearer upstream-key-4");
}, 180_000);
