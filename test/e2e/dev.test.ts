// `conduit dev`: what a newcomer sees in the first two minutes.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import jwt from "jsonwebtoken";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import { type ConduitProcess, type DevFile, runConduit } from "../support/conduit-process.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);

const sign = (dev: DevFile, sub = "123") =>
  jwt.sign({ sub, email: "ada@example.com", iss: dev.iss }, dev.hs256_secret, { expiresIn: "5m" });

const call = (dev: DevFile, path: string, init: RequestInit = {}, sub = "123") =>
  fetch(`${dev.proxy_url}/${dev.link_id}${path}`, {
    ...init,
    headers: { "X-Access-Token": dev.link_token, Authorization: `Bearer ${sign(dev, sub)}`, ...init.headers },
  });

/** Started once for the tests that only look; each of them is another user, so that no limit joins them. */
let shared: ConduitProcess;

beforeAll(async () => {
  shared = await startConduit("dev");
}, 90_000);

describe("a first start", () => {
  test("prints four commands under a screen that do what they say when pasted", async () => {
    const conduit = shared;
    const lines = conduit.stdout.split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    const results: string[] = [];
    for (const command of lines.filter((line) => line.startsWith("curl ")))
      results.push((await run("bash", ["-c", command])).stdout);
    const [missing, served, other, burst] = results;
    expect(missing).toMatch(/^HTTP\/1\.1 401 /);
    expect(missing).toContain('"code":"link_token_missing"');
    expect(served).toMatch(/^HTTP\/1\.1 200 /);
    expect(served).toMatch(/"\[hidden key, sha256 [0-9a-f]{8}\]"/);
    expect(other).toMatch(/^HTTP\/1\.1 403 /);
    expect(burst).toMatch(/^\s*(19|20) 200\n\s*(10|11) 429\n$/);
  });

  test("writes dev.json and the master key for the owner's eyes only, and says nothing secret but the demo's own", async () => {
    const conduit = shared;
    const { dev } = conduit;
    for (const file of ["dev.json", "master.key"])
      expect(statSync(join(conduit.dataDir, file)).mode & 0o777).toBe(0o600);
    expect([dev.project, dev.pid]).toEqual(["projects/demo", conduit.pid]);
    expect(dev.built_in_iss).toBe(`${dev.control_url}/p/demo`);
    const masterKey = readFileSync(join(conduit.dataDir, "master.key"), "utf8").trim();
    for (const secret of [dev.api_key, dev.hs256_secret, masterKey])
      expect(conduit.stdout + conduit.stderr).not.toContain(secret);
    expect(conduit.stderr).not.toContain(dev.link_token);
  });

  test("answers on the admin port: alive, ready, metrics", async () => {
    const { dev } = shared;
    await call(dev, "/api/users/metrics-user/x", {}, "metrics-user");
    const bodies = await Promise.all(
      ["/healthz", "/readyz", "/metrics"].map(async (path) => {
        const response = await fetch(dev.admin_url + path);
        expect(response.status).toBe(200);
        return response.text();
      }),
    );
    expect(bodies[2]).toMatch(/^conduit_proxy_requests_total\{/m);
  });

  test("streams server-sent events as they come", async () => {
    const { dev } = shared;
    const controller = new AbortController();
    const response = await call(dev, "/events", { signal: controller.signal }, "events-user");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toContain("event: tick");
    controller.abort();
  });
});

describe("a second start", () => {
  test("reuses everything: the same link, tokens and issuer still work", async () => {
    const dataDir = makeTmpDir("conduit-again-").path;
    const first = await startConduit("dev", { dataDir });
    const before = first.dev;
    expect(await first.stop("SIGINT")).toBe(0);
    const second = await startConduit("dev", { dataDir });
    const { pid: _pid, start_time: _start, proxy_url, control_url, admin_url, grpc_address, ...kept } = second.dev;
    expect(before).toMatchObject(kept);
    const response = await fetch(`${proxy_url}/${before.link_id}/api/users/123/x`, {
      headers: { "X-Access-Token": before.link_token, Authorization: `Bearer ${sign(before)}` },
    });
    expect(response.status).toBe(200);
    expect([control_url, admin_url, grpc_address].every((it) => it.includes("127.0.0.1"))).toBe(true);
  });

  test("without dev.json makes new demo credentials, and the old ones are refused", async () => {
    const dataDir = makeTmpDir("conduit-new-credentials-").path;
    const first = await startConduit("dev", { dataDir });
    const before = first.dev;
    await first.stop();
    rmSync(join(dataDir, "dev.json"));
    const { dev } = await startConduit("dev", { dataDir });
    expect(dev.link_id).toBe(before.link_id);
    expect((await call(dev, "/api/users/123/x")).status).toBe(200);
    const withOldToken = await call(dev, "/api/users/123/x", { headers: { "X-Access-Token": before.link_token } });
    const withOldSecret = await call(dev, "/api/users/123/x", { headers: { Authorization: `Bearer ${sign(before)}` } });
    expect([withOldToken.status, withOldSecret.status]).toEqual([401, 401]);
    const withOldKey = await fetch(`${dev.control_url}/conduit.v1.ProjectService/ListProjects`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${before.api_key}` },
      body: "{}",
    });
    expect(withOldKey.status).toBe(401);
  });

  test("with a damaged dev.json says what to do, exits 3 and leaves the file", async () => {
    const dataDir = makeTmpDir("conduit-damaged-").path;
    writeFileSync(join(dataDir, "dev.json"), "{");
    const refused = await runConduit([
      "dev",
      "--data-dir",
      dataDir,
      "--proxy-port",
      "0",
      "--http-port",
      "0",
      "--grpc-port",
      "0",
      "--admin-port",
      "0",
    ]);
    expect([refused.exit, refused.stderr]).toEqual([3, expect.stringMatching(/dev\.json is damaged: .*delete it/)]);
    expect(readFileSync(join(dataDir, "dev.json"), "utf8")).toBe("{");
  });

  test("on the same data directory at the same time is refused with exit code 3, and harms nothing", async () => {
    const conduit = shared;
    const refused = await runConduit([
      "dev",
      "--data-dir",
      conduit.dataDir,
      "--proxy-port",
      "0",
      "--http-port",
      "0",
      "--grpc-port",
      "0",
      "--admin-port",
      "0",
    ]);
    expect([refused.exit, refused.stderr]).toEqual([3, expect.stringContaining("in use")]);
    expect((await call(conduit.dev, "/api/users/still-served/x", {}, "still-served")).status).toBe(200);
  });

  test("on a port in use is refused with exit code 3, naming the flag", async () => {
    const { dev } = shared;
    const { port } = new URL(dev.proxy_url);
    const dataDir = makeTmpDir("conduit-port-").path;
    const refused = await runConduit([
      "dev",
      "--data-dir",
      dataDir,
      "--proxy-port",
      port,
      "--http-port",
      "0",
      "--grpc-port",
      "0",
      "--admin-port",
      "0",
    ]);
    expect([refused.exit, refused.stderr]).toEqual([3, expect.stringMatching(/--proxy-port: port \d+ is in use/)]);
    expect(existsSync(join(dataDir, "dev.json"))).toBe(false);
  });
});

describe("usage", () => {
  test("requests are counted by link, subject and outcome", async () => {
    const { dev } = shared;
    await call(dev, "/api/users/counted/x", {}, "counted");
    await call(dev, "/api/users/456/x", {}, "counted");
    const list = async () => {
      const response = await fetch(`${dev.control_url}/conduit.v1.UsageService/ListUsage`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${dev.api_key}` },
        body: JSON.stringify({ parent: dev.project }),
      });
      const { usageRollups = [] } = (await response.json()) as { usageRollups?: Array<Record<string, unknown>> };
      const rows = usageRollups.filter(({ subject }) => subject === "counted");
      return rows.length >= 2 ? rows : undefined;
    };
    const rows = await until("two rows of usage", list);
    expect(rows.map(({ link, subject, outcome, requests }) => [link, subject, outcome, requests]).sort()).toEqual([
      [dev.link, "counted", "ok", "1"],
      [dev.link, "counted", "rule_denied", "1"],
    ]);
  });
});
