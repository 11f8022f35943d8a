// The plain page (the built SDK by an import map, no bundler) and the React app of sdk/examples, against `conduit dev`, in a real browser.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import { ROOT } from "../support/source-file.ts";

const BIN = join(ROOT, "node_modules/.bin");
const EXAMPLES = ["page", "react-app"] as const;
/** The proxy allows 5 s more (`exp_leeway`); the client does not wait for them. */
const TOKEN_LIFETIME = "3s";

let browser: Browser;
let devFile: string;
const servers: ChildProcess[] = [];

function run(program: string, args: readonly string[]): void {
  const env = { ...process.env, PATH: `${BIN}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, env, encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
}

beforeAll(async () => {
  run("npm", ["run", "--silent", "build", "-w", "sdk"]);
  for (const example of EXAMPLES) run("tsc", ["-p", join("sdk/examples", example)]);
  const [launched, conduit] = await Promise.all([launchBrowser(), startConduit("dev")]);
  browser = launched;
  devFile = join(conduit.dataDir, "dev.json");
}, 240_000);

afterAll(async () => {
  for (const server of servers) server.kill();
  await browser?.close();
});

/** Starts an example as its first lines say, and opens its page. */
async function open(example: string): Promise<{ page: Page; asked: string[]; problems: string[] }> {
  const server = spawn(process.execPath, ["sdk/examples/page-server/main.ts", example, devFile, "0"], {
    cwd: ROOT,
    env: { ...process.env, TOKEN_LIFETIME },
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(server);
  const [url] = (await once(createInterface(server.stdout), "line")) as [string];
  const page = await (await browser.newContext()).newPage();
  const asked: string[] = [];
  const problems: string[] = [];
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on("request", (request) => {
    if (request.url().endsWith("/api/conduit-token")) asked.push(request.url());
  });
  await page.goto(url);
  return { page, asked, problems };
}

test.each(EXAMPLES)(
  "%s: log in, call, a token that expires is replaced unseen, reload, another's data refused, log out",
  async (example) => {
    const { page, asked, problems } = await open(example);
    const press = (name: string) => page.getByRole("button", { name }).click();
    const untilState = (state: RegExp) => page.locator("#state", { hasText: state }).waitFor();
    const answer = async (text: RegExp) => {
      await page.locator("#answer", { hasText: text }).waitFor();
      return (await page.textContent("#answer")) ?? "";
    };
    const forget = () => page.evaluate(() => document.querySelector("#answer")?.replaceChildren());

    await untilState(/lost/);
    await press("My profile");
    await answer(/^Please log in$/);
    await press("Log in");
    await untilState(/ready/);
    await press("My profile");
    const body = JSON.parse((await answer(/^200 /)).slice("200 ".length));
    expect(body).toMatchObject({ method: "GET", target: "/api/users/123/profile", key_ok: true });
    expect(JSON.stringify(body.headers)).toMatch(/"X-User-ID","123"/i);

    // By the timer, without a call.
    const before = asked.length;
    await expect.poll(() => asked.length, { timeout: 15_000 }).toBeGreaterThan(before + 1);
    if (example === "page") await forget();
    await press("My profile");
    await answer(/^200 /);

    await press("Another user's profile");
    expect(await answer(/^403 /)).toContain("rule_denied");

    await page.reload();
    await untilState(/ready/);
    await press("My profile");
    await answer(/^200 /);

    const stored = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
    expect(stored).toEqual(["", 0, 0]);
    await press("Log out");
    await untilState(/empty/);
    await press("My profile");
    await answer(/^Please log in$/);
    await page.reload();
    await untilState(/lost/);
    expect(problems).toEqual([]);
  },
  60_000,
);
