// The development page in a real browser, on another port than the proxy: every call it makes is cross-origin.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";

let dev: DevFile;
let browser: Browser;
let page: Page;
let problems: string[];

beforeAll(async () => {
  [browser, { dev }] = await Promise.all([launchBrowser(), startConduit("dev")]);
}, 90_000);

afterAll(() => browser?.close());

beforeEach(async () => {
  page = await browser.newPage();
  problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // The browser reports every refused call as an error; those are the page's business.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      problems.push(message.text());
  });
  await page.goto(`${dev.control_url}/`);
  await page.getByText("Press a button.").waitFor();
});

const press = (name: string) => page.getByRole("button", { name }).click();
const untilStatus = (status: string) => page.locator("#status", { hasText: status }).waitFor();

test("a call with the user's token: 200, and the page shows what the upstream received, the key hidden", async () => {
  await press("My own data");
  await untilStatus("200");
  const received = (await page.textContent("#body")) ?? "";
  expect(received).toMatch(/^X-Api-Key: \[hidden key, sha256 [0-9a-f]{8}\]$/im);
  expect(received).toMatch(/^X-User-ID: 123$/im);
  expect(received).not.toMatch(/^(authorization|x-access-token):/im);
  expect(await page.locator("#answer-headers").textContent()).toContain("ratelimit");
  expect(problems).toEqual([]);
});

test("another user's path: 403; without a token: 401; both readable across origins", async () => {
  await press("Another user's");
  await untilStatus("403");
  expect(await page.textContent("#body")).toContain("rule_denied");
  await press("Without a token");
  await untilStatus("401");
  expect(await page.textContent("#body")).toContain("link_token_missing");
  expect(problems).toEqual([]);
});

test("a token that has expired is refreshed once before the next call", async () => {
  await page.fill("#lifetime", "1");
  await press("My own data");
  await untilStatus("200");
  await page.locator("#token-state", { hasText: "expired" }).waitFor();
  await page.fill("#lifetime", "300");
  await page.evaluate(() => document.querySelector("#status")?.replaceChildren("–"));
  await press("My own data");
  await untilStatus("200");
  expect(await page.textContent("#refresh-count")).toBe("2");
  expect(problems).toEqual([]);
});

test("server-sent events arrive one by one", async () => {
  await press("Server-sent events");
  await page.locator("#body", { hasText: '"tick":2' }).waitFor();
  expect(problems).toEqual([]);
});

test("a burst: some calls are answered 429 with the time to wait", async () => {
  await press("30 at once");
  await untilStatus("429");
  expect(await page.textContent("#summary")).toMatch(/× 429/);
  expect(await page.locator("#answer-headers").textContent()).toContain("retry-after");
  expect(problems).toEqual([]);
});

test("no page of another origin gets a demo token, and the page may not be framed", async () => {
  const index = await fetch(`${dev.control_url}/`);
  expect(index.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(index.headers.get("content-security-policy")).not.toContain("unsafe-inline");
  const stolen = await fetch(`${dev.control_url}/demo/token`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Sec-Fetch-Site": "cross-site" },
    body: "{}",
  });
  expect([stolen.status, stolen.headers.get("access-control-allow-origin")]).toEqual([403, null]);
});
