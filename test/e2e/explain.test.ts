// Why was I refused? Asked three ways against `conduit dev`: a debug key through the proxy, VerifyToken over the API, and
// the CLI. And a stop with an open event stream.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ControlClient, createControlClient } from "@conduit-link/sdk/server";
import jwt from "jsonwebtoken";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import { type ConduitProcess, type DevFile, runConduit } from "../support/conduit-process.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

let conduit: ConduitProcess;
let dev: DevFile;
let control: ControlClient;

beforeAll(async () => {
  conduit = await startConduit("dev");
  dev = conduit.dev;
  control = createControlClient({ url: dev.control_url, apiKey: () => dev.api_key });
}, 90_000);

const sign = (options: jwt.SignOptions = { expiresIn: "5m" }) =>
  jwt.sign({ sub: "123", email: "ada@example.com", iss: dev.iss }, dev.hs256_secret, options);

const env = () => ({ CONDUIT_URL: dev.control_url, CONDUIT_API_KEY: dev.api_key });

const problemOf = async (linkId: string, headers: Record<string, string>) =>
  (await (await fetch(`${dev.proxy_url}/${linkId}/api/users/123/x`, { headers })).json()) as Record<string, unknown>;

test("a debug key shows its holder, and nobody else, why the proxy refuses", async () => {
  const { link } = await control.call<{ link: { name: string } }>("conduit.v1.LinkService", "CreateLink", {
    parent: dev.project,
    link: {
      upstream: { baseUrl: "https://api.example" },
      issuers: [dev.issuer],
      linkTokenMode: "LINK_TOKEN_MODE_OFF",
      rules: [{ path: "/api/users/{jwt.sub}/**" }],
    },
  });
  const made = await runConduit(["link", "debug-key", link.name, "--lifetime", "15m", "--json"], { env: env() });
  expect(made.exit).toBe(0);
  const { debug_key: key } = JSON.parse(made.stdout) as { debug_key: string };
  expect(key).toMatch(/^cl_dbg_/);
  const linkId = link.name.split("/").at(-1) ?? "";
  const authorization = `Bearer ${sign({ expiresIn: -60 })}`;
  const shown = await until("the key has reached the proxy", async () => {
    const problem = await problemOf(linkId, { authorization, "X-Debug-JWT": key });
    return problem.jwt_error === "Token expired" ? problem : undefined;
  });
  expect(shown).toMatchObject({ code: "token_expired", status: 401 });
  for (const other of ["true", `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`]) {
    const hidden = await problemOf(linkId, { authorization, "X-Debug-JWT": other });
    expect(hidden.jwt_error).toBe("JWT debugging is off for this link; create a debug key under Security");
    expect(Object.keys(hidden)).not.toContain("seen");
  }
  expect(conduit.stdout + conduit.stderr).not.toContain(key);
});

test("conduit link history, diff and rollback: who changed what and why, and one step back", async () => {
  const name = dev.link;
  const link = { name, displayName: "Renamed" };
  await control.call("conduit.v1.LinkService", "UpdateLink", { link, reason: "try it" });
  const command = (...args: string[]) => runConduit(["link", ...args], { env: env() });
  const { stdout } = await command("diff", name);
  expect(stdout.trimEnd().split("\n").slice(2)).toEqual(["@@ display_name", '-"Demo"', '+"Renamed"']);
  const unasked = await command("rollback", name);
  expect([unasked.exit, unasked.stderr.includes("--yes")]).toEqual([2, true]);
  const done = await command("rollback", name, "--yes", "--reason", "undo", "--json");
  expect([done.exit, JSON.parse(done.stdout)]).toMatchObject([0, { name, config_sequence: expect.any(Number) }]);
  const history = JSON.parse((await command("history", name, "--json")).stdout);
  expect(history).toMatchObject([
    { action: "LinkService.RollbackLink", changed: "display_name", reason: "undo" },
    { action: "LinkService.UpdateLink", changed: "display_name", reason: "try it" },
    { action: "LinkService.CreateLink", changed: "" },
  ]);
});

test("the SDK's methods for tokens: mint, verify, exchange, introspect, refresh, revoke", async () => {
  const { project: parent, link } = dev;
  const minted = await control.mintToken({
    parent,
    subject: "7",
    links: [link],
    claims: { email: "a@b.example" },
    session: {},
  });
  const path = "/api/users/7/x";
  expect(await control.verifyToken({ link, token: minted.accessToken, path })).toMatchObject({
    accepted: true,
    ruleIndex: 0,
  });
  const exchanged = await control.exchangeToken({
    parent,
    subjectToken: minted.accessToken,
    links: [link],
    lifetime: "1m",
  });
  expect(exchanged).toMatchObject({ tokenType: "Bearer", expiresIn: 60 });
  const known = await control.introspectToken({ parent, token: exchanged.accessToken });
  expect(known).toMatchObject({ active: true, subject: "7", links: [link], tokenId: exchanged.tokenId });
  const next = await control.refreshToken({ refreshToken: minted.refreshToken ?? "", attemptId: "a1" });
  expect(next.session).toBe(minted.session);
  await control.revokeToken({ parent, token: next.refreshToken ?? "" });
  expect(await control.introspectToken({ parent, token: next.accessToken })).toEqual({
    active: false,
    links: [],
    roles: [],
  });
  const verdict = await control.verifyToken({ link, token: next.accessToken, path });
  expect(verdict).toMatchObject({ accepted: false, status: 401, code: "token_revoked", jwtError: "Token revoked" });
});

describe("VerifyToken and `conduit explain`", () => {
  const verify = (request: object) =>
    control.call<Record<string, unknown>>("conduit.v1.TokenService", "VerifyToken", { link: dev.link, ...request });

  test("say over the API what the proxy answers", async () => {
    for (const [token, path, code] of [
      [sign(), "/api/users/123/x", undefined],
      [sign(), "/api/users/456/x", "rule_denied"],
      [sign({ expiresIn: -60 }), "/api/users/123/x", "token_expired"],
      [jwt.sign({ sub: "123" }, "x".repeat(32)), "/api/users/123/x", "token_issuer_unknown"],
    ] as const) {
      const headers = { "X-Access-Token": dev.link_token, Authorization: `Bearer ${token}` };
      const answer = await fetch(`${dev.proxy_url}/${dev.link_id}${path}`, { headers });
      const verdict = await verify({ token, path, linkToken: dev.link_token });
      expect([verdict.code, verdict.accepted ?? false]).toEqual([code, code === undefined]);
      expect(answer.headers.get("x-conduit-error")).toBe(code ?? null);
      expect(JSON.stringify(verdict)).not.toContain(token.split(".")[2]);
    }
  });

  test("on the command line, with the token from a file", async () => {
    const dir = makeTmpDir("conduit-explain-").path;
    const tokenFile = join(dir, "token");
    writeFileSync(tokenFile, `${sign()}\n`);
    const explain = (...args: string[]) =>
      runConduit(["explain", "--link", dev.link_id, "--project", "demo", "--token-file", tokenFile, ...args], {
        env: env(),
      });
    const allowed = await explain("--path", "/api/users/123/x");
    expect([allowed.exit, allowed.stdout]).toEqual([0, expect.stringMatching(/^Allowed\n/)]);
    const denied = await explain("--path", "/api/users/456/x", "--method", "GET", "--json");
    expect(JSON.parse(denied.stdout)).toMatchObject({ accepted: false, stage: "authorize", code: "rule_denied" });
    const unread = await runConduit(["explain", "--link", dev.link, "--token-file", join(dir, "no-such-file")], {
      env: env(),
    });
    expect([unread.exit, unread.stderr]).toEqual([2, expect.stringContaining("--token-file")]);
  });

  test("`conduit jwt decode` needs no server and says that it verifies nothing", async () => {
    const tokenFile = join(makeTmpDir("conduit-decode-").path, "token");
    writeFileSync(tokenFile, sign());
    const decoded = await runConduit(["jwt", "decode", "--token-file", tokenFile, "--json"]);
    expect(JSON.parse(decoded.stdout)).toMatchObject({
      verified: false,
      header: { alg: "HS256" },
      payload: { sub: "123" },
    });
    expect(decoded.stderr).toContain("not verified");
    writeFileSync(tokenFile, "not.a.jwt");
    expect(await runConduit(["jwt", "decode", "--token-file", tokenFile])).toMatchObject({ exit: 1, stdout: "" });
  });
});

test("R4: SIGTERM ends an open event stream after a whole event, and does not wait for the drain's 30 s", async () => {
  const headers = { "X-Access-Token": dev.link_token, Authorization: `Bearer ${sign()}` };
  const answer = await fetch(`${dev.proxy_url}/${dev.link_id}/events`, { headers });
  const reader = answer.body?.getReader();
  let text = Buffer.from((await reader?.read())?.value ?? []).toString();
  const startMs = performance.now();
  const stopped = conduit.stop("SIGTERM");
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read())
    text += Buffer.from(next.value).toString();
  await stopped;
  expect(text).toMatch(/\n\n: conduit draining\n\n$/);
  expect(performance.now() - startMs).toBeLessThan(10_000);
});
