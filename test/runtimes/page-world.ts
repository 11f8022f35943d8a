import { readFile } from "node:fs/promises";
import type { BrowserContext, Page } from "playwright-core";
import { startTokenWorld, type TokenWorld } from "../support/token-world.ts";
import { buildSdk, bundleSuite } from "./sdk-build.ts";

/** A token world with the suite's page in it, built into `folder`: `/page`, or `/page?room=<name>` for a tab of a session. */
export async function startPageWorld(folder: string): Promise<TokenWorld> {
  buildSdk(folder);
  const script = await readFile(await bundleSuite(folder, "in-page", { platform: "browser" }), "utf8");
  return startTokenWorld({
    "/page": {
      type: "text/html",
      text: '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    },
    "/page.js": { type: "text/javascript", text: script },
  });
}

/** Opens a tab of the session in `room`. */
export async function openTab(context: BrowserContext, world: TokenWorld, room: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${world.url}/page?room=${room}`);
  await page.waitForFunction(`"tab" in window`);
  return page;
}
