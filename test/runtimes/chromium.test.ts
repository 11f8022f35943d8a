import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import type { TokenWorld } from "../support/token-world.ts";
import { CASES, DONE } from "./counts.ts";
import { startPageWorld } from "./page-world.ts";
import { outcomeOf } from "./program.ts";

/** What a page cannot ask: streams as bodies of requests, which need HTTP/2, and where a redirect leads. */
const SKIPPED = 3;

const dir = makeTmpDir();
let world: TokenWorld;

beforeAll(async () => {
  world = await startPageWorld(dir.path);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

test("Chromium keeps every guarantee", async () => {
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${world.url}/page`);
  await page.waitForFunction(`"runSuite" in window`);
  const { rest, passed } = outcomeOf((await page.evaluate("window.runSuite()")) as string[]);
  expect(rest.filter((line) => !line.startsWith("skip "))).toEqual(DONE);
  expect([rest.length - DONE.length, passed, errors]).toEqual([SKIPPED, CASES - SKIPPED, []]);
});
