// Two tabs of one session in a real browser, against a server that ends it at the first repeated refresh token: a tab that is closed, frozen or offline
// in the middle of a refresh, with the lock in its hand. Web Locks, BroadcastChannel and localStorage are Chromium's own.
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { hasRuntimes, installOnDemand } from "../support/on-demand.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import type { TokenWorld } from "../support/token-world.ts";
import { until } from "../support/until.ts";
import { CASES, DONE } from "./counts.ts";
import { openTab, startPageWorld } from "./page-world.ts";
import { outcomeOf } from "./program.ts";

const dir = makeTmpDir();
let world: TokenWorld;
let browser: Browser;
let context: BrowserContext;
let room: string;
let [first, second]: Page[] = [];

beforeAll(async () => {
  [world, browser] = await Promise.all([startPageWorld(dir.path), launchBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await world?.[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

beforeEach(async ({ task }) => {
  room = task.id;
  context = await browser.newContext();
  first = await openTab(context, world, room);
  second = await openTab(context, world, room);
  await first.evaluate("window.tab.signIn()");
  expect(await call(second)).toBe("200 GET /x ");
});
afterEach(() => context.close());

const call = (page: Page | undefined) => page?.evaluate(`window.tab.call("/x")`);
/** Begins a refresh whose answer is a while in coming, and lets it arrive. */
async function beginRefresh(page: Page | undefined, delayMs: number): Promise<void> {
  world.set(room, { slow: { times: 1, delayMs } });
  const before = world.log(room).refreshes;
  await page?.evaluate("void window.tab.refresh()");
  await until("the refresh", () => (world.log(room).refreshes > before ? true : undefined));
}
const isLockHeld = (page: Page | undefined) =>
  page?.evaluate("navigator.locks.query().then(({ held }) => held.length > 0)");

/**
 * Stops everything of a page, as phones do with what lies behind: no timer, no answer, no promise, while its locks stay. By the debugger, since
 * headless Chromium takes `Page.setWebLifecycleState` and does nothing.
 */
async function freeze(page: Page) {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Debugger.enable");
  const paused = new Promise<string>((resolve) => {
    devtools.once("Debugger.paused", ({ callFrames }) => resolve(callFrames[0]?.callFrameId ?? ""));
  });
  await devtools.send("Debugger.pause");
  const callFrameId = await paused;
  return {
    ask: async (expression: string): Promise<unknown> =>
      (await devtools.send("Debugger.evaluateOnCallFrame", { callFrameId, expression })).result.value,
    async thaw() {
      await devtools.send("Debugger.resume");
      await devtools.send("Debugger.disable");
    },
  };
}

test("tabs whose token expires at once cause one refresh", async () => {
  world.set(room, { expire: true });
  expect(await Promise.all([call(first), call(second), call(first), call(second)])).toEqual(
    Array(4).fill("200 GET /x "),
  );
  expect(world.log(room)).toMatchObject({ rotations: 1, replays: 0, reuses: 0 });
});

test("a tab closed in the middle of a refresh, with the lock: the other one ends the same attempt", async () => {
  await beginRefresh(first, 60_000);
  expect(await isLockHeld(second)).toBe(true);
  const waiting = second?.evaluate("window.tab.refresh()");
  await first?.close();
  expect(await waiting).toBe("a2");
  expect(world.log(room)).toMatchObject({ rotations: 1, replays: 1, reuses: 0 });
});

test("a tab frozen in the middle of a refresh, with the lock: the other one waits a second, not for ever", async () => {
  await first?.evaluate("window.ticks = 0; setInterval(() => { window.ticks++; }, 10)");
  await beginRefresh(first, 1_000);
  const freezer = await freeze(first as Page);
  const ticks = await freezer.ask("window.ticks");
  expect(await isLockHeld(second)).toBe(true);
  // The rotation was done for the frozen tab: its answer is given again, to the same attempt.
  expect(await second?.evaluate("window.tab.refresh()")).toBe("a2");
  expect(world.log(room)).toMatchObject({ rotations: 1, replays: 1, reuses: 0 });
  expect(await second?.evaluate("window.tab.refresh()")).toBe("a3");
  expect(await freezer.ask("window.ticks")).toBe(ticks);
  await freezer.thaw();
  // What it was waiting for is old by now, and must not take the place of what is new.
  expect(await Promise.all([call(first), call(second)])).toEqual(["200 GET /x ", "200 GET /x "]);
  await until("the newer token", async () =>
    (await first?.evaluate("window.tab.conduit.tokens.getToken()")) === "a3" ? true : undefined,
  );
  expect(world.log(room)).toMatchObject({ rotations: 2, reuses: 0 });
});

test("offline nobody is signed out, and the first call back online is answered", async () => {
  world.set(room, { expire: true });
  const devtools = await context.newCDPSession(first as Page);
  await devtools.send("Network.enable");
  await context.setOffline(true);
  expect(await call(first)).toContain("Failed to fetch");
  expect(await first?.evaluate("window.tab.refresh()")).toBe("refresh_failed");
  expect(await first?.evaluate("window.tab.conduit.state")).toBe("ready");
  await context.setOffline(false);
  expect(await call(first)).toBe("200 GET /x ");
  expect(world.log(room)).toMatchObject({ rotations: 1, reuses: 0 });
});

test("a sign-out in one tab is one in the other", async () => {
  await first?.evaluate("window.tab.conduit.signOut()");
  await until("signed out", async () => ((await call(second)) === "session_lost" ? true : undefined));
  expect(world.log(room).revocations).toBe(1);
});

test.runIf(hasRuntimes)(
  "over React Native's fetch, which is made of XMLHttpRequest, all holds but what that cannot do",
  async () => {
    const page = await context.newPage();
    // Put in the place of the page's own before any script runs.
    const polyfill = join(installOnDemand("runtimes"), "whatwg-fetch/dist/fetch.umd.js");
    await page.addInitScript(
      "delete window.fetch; delete window.Response; delete window.Request; delete window.Headers;",
    );
    await page.addInitScript({ path: polyfill });
    await page.goto(`${world.url}/page`);
    await page.waitForFunction(`"runSuite" in window`);
    expect(await page.evaluate("fetch.polyfill")).toBe(true);
    const { rest, passed } = outcomeOf((await page.evaluate("window.runSuite(true)")) as string[]);
    const skipped = rest.filter((line) => line.startsWith("skip "));
    expect(rest.filter((line) => !skipped.includes(line))).toEqual(DONE);
    expect([skipped.length, passed]).toEqual([4, CASES - 4]);
  },
);
