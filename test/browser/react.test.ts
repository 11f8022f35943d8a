// The React adapter: rendered on a server, hydrated in a real browser, in Strict Mode.
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { renderToString } from "react-dom/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { ROOT } from "../support/source-file.ts";
import { app, open } from "./react-page.ts";

let browser: Browser;
let server: HttpServer;
let isSignedIn = true;

beforeAll(async () => {
  const [script, html] = [await bundle(), renderToString(app(open("http://127.0.0.1:1")))];
  let round = 0;
  server = await startHttpServer(({ target }) => {
    if (target === "/") {
      const body = `<!doctype html><div id="root">${html}</div><script type="module" src="/page.js"></script>`;
      return { headers: { "Content-Type": "text/html" }, body };
    }
    if (target === "/page.js") return { headers: { "Content-Type": "text/javascript" }, body: script };
    if (target === "/token") return isSignedIn ? { body: { token: `t${++round}`, expiresIn: 900 } } : { status: 401 };
    return target === "/link/me" ? { body: { name: "Ada" } } : { status: 404 };
  });
  browser = await launchBrowser();
}, 90_000);
afterAll(() => Promise.all([browser?.close(), server?.close()]));

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${ROOT}/test/browser/react-page.ts`],
    bundle: true,
    format: "esm",
    write: false,
    define: { "process.env.NODE_ENV": '"development"' },
  });
  return outputFiles[0]?.text ?? "";
}

test("what the server rendered is taken over, the state follows, and Strict Mode costs no second token", async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.locator("#name", { hasText: "Ada" }).waitFor();
  await page.locator("#state", { hasText: "ready" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#state", { hasText: "empty" }).waitFor();
  isSignedIn = false;
  await page.getByRole("button", { name: "Load" }).click();
  await page.locator("#state", { hasText: "lost" }).waitFor();

  const { problems, states, fetches } = await page.evaluate(() => ({
    problems: window.witness?.problems,
    states: window.witness?.states,
    fetches: window.witness?.fetches.size,
  }));
  // A difference between the two renders would be one of these problems.
  expect(problems).toEqual([]);
  const distinct = states?.filter((state, index) => state !== states[index - 1]);
  expect(distinct).toEqual(["empty", "refreshing", "ready", "empty", "refreshing", "lost"]);
  expect(fetches, "fetchWithAuth stays the same function").toBe(1);
  expect(server.requests.filter(({ target }) => target === "/token")).toHaveLength(2);
});
