// The page of sdk/examples/node-backend in a real browser: log in, call, reload, log out, and a new password elsewhere.
// What ended is refused by both proxies, the demo's own and one more that joined.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { ROOT } from "../support/source-file.ts";
import { joinProxy } from "../support/stack.ts";
import { until } from "../support/until.ts";

const EMAIL = "ada@example.com";
const PASSWORD = "correct horse battery";

let browser: Browser;
let page: Page;
let url: string;
let dev: DevFile;
let proxyUrls: string[];
let example: ReturnType<typeof spawn>;

beforeAll(async () => {
  const conduit = await startConduit("dev");
  dev = conduit.dev;
  const args = ["--conditions=conduit-source", "examples/node-backend/main.ts", join(conduit.dataDir, "dev.json"), "0"];
  example = spawn(process.execPath, args, { cwd: join(ROOT, "sdk"), stdio: ["ignore", "pipe", "inherit"] });
  if (example.stdout === null) throw new TypeError("no stdout");
  const [line] = (await once(createInterface(example.stdout), "line")) as [string];
  url = line.split(" ")[0] ?? "";
  const second = await joinProxy(dev.control_url, dev.grpc_address, dev.api_key);
  proxyUrls = [dev.proxy_url, `http://127.0.0.1:${second.ports.proxy}`];
  browser = await launchBrowser();
  page = await browser.newPage();
  await page.goto(url);
}, 90_000);

afterAll(async () => {
  example.kill();
  await browser?.close();
});

const press = (on: Page, name: string) => on.getByRole("button", { name }).click();
const untilState = (on: Page, state: string) => on.locator("#state", { hasText: state }).waitFor();

async function logIn(on: Page): Promise<void> {
  await on.fill("#email", EMAIL);
  await on.fill("#password", PASSWORD);
  await press(on, "Log in");
  await untilState(on, "Signed in");
}

/** What the page shows of a call's answer, and the token it sent. */
async function call(on: Page): Promise<{ answer: string | null; authorization: string }> {
  const sent = on.waitForRequest((request) => request.url().includes("/profile") && request.method() === "GET");
  await press(on, "Call the API");
  const authorization = (await (await sent).allHeaders()).authorization ?? "";
  await on.locator("#answer", { hasText: /^\d{3} / }).waitFor();
  return { answer: await on.textContent("#answer"), authorization };
}

/** Whoever copied the token gets nowhere with it, at either proxy. */
async function untilRefusedEverywhere(authorization: string): Promise<void> {
  const headers = { authorization, "x-access-token": dev.link_token };
  for (const proxyUrl of proxyUrls)
    await until(`the token is refused at ${proxyUrl}`, async () => {
      const answer = await fetch(`${proxyUrl}/${dev.link_id}/api/users/x/profile`, { headers });
      return answer.headers.get("x-conduit-error") === "token_revoked" ? true : undefined;
    });
}

test("a user logs in, calls the API, is still there after a reload, and is gone after log-out", async () => {
  await untilState(page, "Signed out");
  await logIn(page);
  expect((await call(page)).answer).toMatch(/^200 [\s\S]*"key_ok": true/);
  const inScripts = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
  expect(inScripts).toEqual(["", 0, 0]);

  await page.reload();
  await untilState(page, "Signed in");
  const { answer, authorization } = await call(page);
  expect(answer).toMatch(/^200 /);

  await press(page, "Log out");
  await untilState(page, "Signed out");
  await untilRefusedEverywhere(authorization);
  await page.reload();
  await untilState(page, "Signed out");
}, 60_000);

test("a new password on one device ends the session on the other, which shows it with its next call", async () => {
  const other = await (await browser.newContext()).newPage();
  await other.goto(url);
  await logIn(page);
  await logIn(other);
  const { authorization } = await call(other);
  const status = await page.evaluate(
    async (body) => {
      const headers = { "Content-Type": "application/json" };
      return (await fetch("/password", { method: "POST", headers, body: JSON.stringify(body) })).status;
    },
    { email: EMAIL, password: PASSWORD, newPassword: "another horse battery" },
  );
  expect(status).toBe(200);
  await untilRefusedEverywhere(authorization);
  await press(other, "Call the API");
  await untilState(other, "Signed out");
  await other.reload();
  await untilState(other, "Signed out");
  // The device that changed it has a session of the new password.
  await page.reload();
  await untilState(page, "Signed in");
  expect((await call(page)).answer).toMatch(/^200 /);
}, 60_000);
