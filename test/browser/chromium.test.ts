import { expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startHttpServer } from "../support/http-server.ts";

test("Chromium starts, and a page on 127.0.0.1 is a secure context", async () => {
  await using site = await startHttpServer(() => ({
    headers: { "content-type": "text/html" },
    body: "<h1>hello</h1>",
  }));
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  await page.goto(`${site.url}/`);
  expect(await page.textContent("h1")).toBe("hello");
  expect(await page.evaluate(() => isSecureContext && typeof navigator.locks.request === "function")).toBe(true);
  expect(site.requests[0]?.target).toBe("/");
});
