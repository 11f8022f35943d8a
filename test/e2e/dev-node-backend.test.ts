// The back end to copy (sdk/examples/node-backend), as a process of its own beside `conduit dev`, over real HTTP.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { ConduitProcess } from "../support/conduit-process.ts";
import { ROOT } from "../support/source-file.ts";
import { until } from "../support/until.ts";

const EMAIL = "ada@example.com";
const PASSWORD = "correct horse battery";

let conduit: ConduitProcess;
let example: ReturnType<typeof spawn>;
let url: string;

beforeAll(async () => {
  conduit = await startConduit("dev");
  const args = ["--conditions=conduit-source", "examples/node-backend/main.ts", join(conduit.dataDir, "dev.json"), "0"];
  example = spawn(process.execPath, args, { cwd: join(ROOT, "sdk"), stdio: ["ignore", "pipe", "inherit"] });
  if (example.stdout === null) throw new TypeError("no stdout");
  const [line] = (await once(createInterface(example.stdout), "line")) as [string];
  url = line.split("/ ")[0] ?? "";
}, 90_000);

afterAll(() => example.kill());

interface Answer {
  readonly status: number;
  readonly body: { readonly accessToken?: string; readonly expiresIn?: number };
  /** Whole `Set-Cookie` line; "" = none. */
  readonly setCookie: string;
}

async function post(path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = { "content-type": "application/json", ...headers };
  const response = await fetch(`${url}${path}`, { method: "POST", headers: sent, body: JSON.stringify(body) });
  const answer = (await response.json()) as Answer["body"];
  return { status: response.status, body: answer, setCookie: response.headers.get("set-cookie") ?? "" };
}

const cookieOf = ({ setCookie }: Answer) => ({ cookie: setCookie.split(";")[0] ?? "" });

const subjectOf = (token = ""): string =>
  (JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { sub: string }).sub;

async function statusAtProxy(token = ""): Promise<number> {
  const { proxy_url, link_id, link_token } = conduit.dev;
  const headers = { authorization: `Bearer ${token}`, "x-access-token": link_token };
  return (await fetch(`${proxy_url}/${link_id}/api/users/${subjectOf(token)}/profile`, { headers })).status;
}

const untilRefused = (token = "") =>
  until("the proxy refuses the token", async () => ((await statusAtProxy(token)) === 401 ? true : undefined));

test("a user logs in with the right password; the refresh token is in a cookie no script can read", async () => {
  for (const wrong of [{ email: EMAIL, password: "x" }, { email: "nobody@example.com", password: PASSWORD }, {}])
    expect(await post("/login", wrong)).toMatchObject({ status: 401, setCookie: "" });
  const answer = await post("/login", { email: EMAIL, password: PASSWORD });
  expect(answer).toMatchObject({ status: 200, body: { expiresIn: 900 } });
  expect(answer.setCookie).toMatch(/^session=cl_rt_[^;]+; HttpOnly; SameSite=Strict; Path=\/; Max-Age=604800$/);
  expect(JSON.stringify(answer.body)).not.toContain("cl_rt_");
  expect(await statusAtProxy(answer.body.accessToken)).toBe(200);
});

test("after a reload the cookie alone gets the next token, and a new cookie", async () => {
  const first = await post("/login", { email: EMAIL, password: PASSWORD });
  const next = await post("/refresh", {}, cookieOf(first));
  expect(next.status).toBe(200);
  expect(cookieOf(next)).not.toEqual(cookieOf(first));
  expect(await statusAtProxy(next.body.accessToken)).toBe(200);
  expect(await post("/refresh", {})).toMatchObject({ status: 401 });
});

test("log-out ends the session at the proxy too", async () => {
  const { body, ...answer } = await post("/login", { email: EMAIL, password: PASSWORD });
  const cookie = cookieOf({ body, ...answer });
  expect(await post("/logout", {}, cookie)).toMatchObject({
    status: 200,
    setCookie: expect.stringContaining("Max-Age=0"),
  });
  await untilRefused(body.accessToken);
  expect(await post("/refresh", {}, cookie)).toMatchObject({ status: 401, body: {} });
});

test("a new password ends every session but the one that is opened by it", async () => {
  const [one, two] = [
    await post("/login", { email: EMAIL, password: PASSWORD }),
    await post("/login", { email: EMAIL, password: PASSWORD }),
  ];
  const newPassword = "another horse battery";
  const changed = await post("/password", { email: EMAIL, password: PASSWORD, newPassword }, cookieOf(one));
  expect(changed.status).toBe(200);
  for (const old of [one, two]) {
    await untilRefused(old.body.accessToken);
    expect((await post("/refresh", {}, cookieOf(old))).status).toBe(401);
  }
  expect(await statusAtProxy(changed.body.accessToken)).toBe(200);
  expect((await post("/refresh", {}, cookieOf(changed))).status).toBe(200);
  expect((await post("/password", { email: EMAIL, password: newPassword, newPassword: PASSWORD })).status).toBe(200);
});

test("pages of other sites reach nothing", async () => {
  const answer = await post("/login", { email: EMAIL, password: PASSWORD });
  const cookie = cookieOf(answer);
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { "content-type": "text/plain" }])
    expect(await post("/refresh", {}, { ...cookie, ...headers })).toMatchObject({ status: 403, setCookie: "" });
  expect((await post("/refresh", {}, cookie)).status).toBe(200);
});
