// A session shared by real tabs: Web Locks, BroadcastChannel, localStorage and IndexedDB are Chromium's own.
import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { ROOT } from "../support/source-file.ts";
import { until } from "../support/until.ts";

const PAGE = `
import { createConduit } from "./sdk/src/index.ts";
import { createSession, fromBackend, indexedDbStore, storageStore } from "./sdk/src/session/index.ts";
const store = location.search === "?indexeddb" ? indexedDbStore() : storageStore(localStorage);
const session = createSession({ store, refresh: fromBackend("/refresh") });
const conduit = createConduit({ url: location.origin + "/link", getToken: session });
Object.assign(window, { session, conduit });
`;

let browser: Browser;
let context: BrowserContext;
let site: HttpServer;
let script: string;
let round: number;
/** Requests for which the answer is held back. */
let held: number;

beforeAll(async () => {
  const stdin = { contents: PAGE, resolveDir: ROOT, loader: "ts" } as const;
  const [{ outputFiles }, started] = await Promise.all([
    build({ stdin, bundle: true, format: "esm", target: "es2020", write: false }),
    launchBrowser(),
  ]);
  script = outputFiles[0]?.text ?? "";
  browser = started;
}, 60_000);
afterAll(() => browser?.close());

beforeEach(async () => {
  round = 0;
  held = 0;
  context = await browser.newContext();
  site = await startHttpServer(({ target }) => {
    if (target === "/app.js") return { headers: { "content-type": "text/javascript" }, body: script };
    if (target !== "/refresh")
      return { headers: { "content-type": "text/html" }, body: "<script type=module src=/app.js></script>" };
    if (held-- > 0) return undefined;
    return { body: { token: `t${++round}`, expiresIn: 900 } };
  });
});
afterEach(async () => {
  await context.close();
  await site.close();
});

async function openTab(store = ""): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${site.url}/${store}`);
  await page.waitForFunction(`"conduit" in window`);
  return page;
}

const token = (page: Page) => page.evaluate(`window.conduit.tokens.getToken()`);
const refresh = (page: Page) => page.evaluate(`window.conduit.tokens.refresh()`);
const state = (page: Page) => page.evaluate(`window.conduit.state`);
const refreshes = () => site.requests.filter(({ target }) => target === "/refresh");

test.each(["", "?indexeddb"])(
  "tabs that start at once ask once, a reload not at all, and a refresh is heard by all (%s)",
  async (store) => {
    const tabs = await Promise.all([openTab(store), openTab(store), openTab(store)]);
    expect(new Set(await Promise.all(tabs.map(token)))).toEqual(new Set(["t1"]));
    expect(refreshes()).toHaveLength(1);
    await tabs[0]?.reload();
    expect(await token(tabs[0] as Page)).toBe("t1");
    expect(await refresh(tabs[1] as Page)).toBe("t2");
    for (const tab of tabs)
      await until("t2 in every tab", async () => ((await token(tab)) === "t2" ? true : undefined));
    expect(refreshes()).toHaveLength(2);
  },
);

test.each(["", "?indexeddb"])("a sign-out is heard in every tab (%s)", async (store) => {
  const [a, b] = [await openTab(store), await openTab(store)];
  await Promise.all([token(a), token(b)]);
  await a.evaluate(`window.conduit.signOut()`);
  await until("signed out", async () => ((await state(b)) === "empty" ? true : undefined));
  expect(await b.evaluate(`window.conduit.tokens.getToken().catch((error) => error.code)`)).toBe("session_lost");
  expect(refreshes()).toHaveLength(1);
});

test("a tab closed in the middle of its refresh: its lock goes with it, and another one finishes the same attempt", async () => {
  const [a, b] = [await openTab(), await openTab()];
  await Promise.all([token(a), token(b)]);
  held = 1;
  await a.evaluate(`void window.conduit.tokens.refresh().catch(() => {})`);
  await until("the second refresh", () => refreshes()[1]);
  const waiting = refresh(b);
  await a.close();
  expect(await waiting).toBe("t2");
  const attempts = refreshes().map(({ body }) => JSON.parse(String(body)).attempt_id);
  expect(attempts).toHaveLength(3);
  expect(attempts[2]).toBe(attempts[1]);
});
