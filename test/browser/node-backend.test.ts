// The page of sdk/examples/node-backend in a real browser: log in, call, reload, log out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import { ROOT } from "../support/source-file.ts";

let browser: Browser;
let page: Page;
let example: ReturnType<typeof spawn>;

beforeAll(async () => {
  const conduit = await startConduit("dev");
  const args = ["--conditions=conduit-source", "examples/node-backend/main.ts", join(conduit.dataDir, "dev.json"), "0"];
  example = spawn(process.execPath, args, { cwd: join(ROOT, "sdk"), stdio: ["ignore", "pipe", "inherit"] });
  if (example.stdout === null) throw new TypeError("no stdout");
  const [line] = (await once(createInterface(example.stdout), "line")) as [string];
  browser = await launchBrowser();
  page = await browser.newPage();
  await page.goto(line.split(" ")[0] ?? "");
}, 90_000);

afterAll(async () => {
  example.kill();
  await browser?.close();
});

const press = (name: string) => page.getByRole("button", { name }).click();
const untilState = (state: string) => page.locator("#state", { hasText: state }).waitFor();
const call = async () => {
  await press("Call the API");
  await page.locator("#answer", { hasText: /^\d{3} / }).waitFor();
  return page.textContent("#answer");
};

test("a user logs in, calls the API, is still there after a reload, and is gone after log-out", async () => {
  await untilState("Signed out");
  await page.fill("#email", "ada@example.com");
  await page.fill("#password", "correct horse battery");
  await press("Log in");
  await untilState("Signed in");
  expect(await call()).toMatch(/^200 [\s\S]*"key_ok": true/);
  const inScripts = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
  expect(inScripts).toEqual(["", 0, 0]);

  await page.reload();
  await untilState("Signed in");
  expect(await call()).toMatch(/^200 /);

  await press("Log out");
  await untilState("Signed out");
  await page.reload();
  await untilState("Signed out");
}, 60_000);
