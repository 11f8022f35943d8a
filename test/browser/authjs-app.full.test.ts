// The Auth.js 5 example as its reader has it: copied out of the repository, the packed SDK installed, built and served by Next.js, against
// `conduit dev`, in a real browser.
import type { ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import { installOnDemand } from "../support/on-demand.ts";
import { findFreePort } from "../support/ports.ts";
import { ROOT } from "../support/source-file.ts";
import { runInProduction, startNext } from "./next-process.ts";

const PASSWORD = "let-me-in";

let browser: Browser;
let next: ChildProcess;
let origin: string;
let app: string;

/** The example beside its packages, with the SDK's tarball among them. */
function install(): { readonly modules: string } {
  const modules = installOnDemand("authjs");
  app = mkdtempSync(join(dirname(modules), "app-"));
  cpSync(join(ROOT, "sdk/examples/authjs-app"), app, { recursive: true });
  // Turbopack takes the nearest lock file for the root of everything, and here that is the repository's.
  const root = JSON.stringify(dirname(modules));
  writeFileSync(
    join(app, "next.config.mjs"),
    `export default { turbopack: { root: ${root} }, outputFileTracingRoot: ${root} };`,
  );
  runInProduction("npm", ["run", "--silent", "build", "-w", "sdk"], ROOT);
  const packed = runInProduction(
    "npm",
    ["pack", "--silent", "--ignore-scripts", "--pack-destination", app],
    join(ROOT, "sdk"),
  ).trim();
  const sdk = join(app, "node_modules/@conduit-link/sdk");
  mkdirSync(sdk, { recursive: true });
  runInProduction("tar", ["-xzf", join(app, packed), "-C", sdk, "--strip-components=1"], app);
  return { modules };
}

beforeAll(async () => {
  const { modules } = install();
  const bin = join(modules, "next/dist/bin/next");
  // Checks the types too, with the compiler that Next.js can call.
  runInProduction(process.execPath, [bin, "build"], app);
  const [launched, { dev }] = await Promise.all([launchBrowser(), startConduit("dev")]);
  browser = launched;
  const port = await findFreePort();
  // By this name: Next.js turns 127.0.0.1 into it in the URLs that Auth.js makes of requests.
  origin = `http://localhost:${port}`;
  const env = { AUTH_URL: origin, AUTH_SECRET: "a secret of this test, long enough for anyone" };
  next = await startNext({ command: [process.execPath, bin], cwd: app, origin, env, password: PASSWORD, dev });
}, 300_000);

afterAll(async () => {
  next?.kill();
  await browser?.close();
  if (app) rmSync(app, { recursive: true, force: true });
});

test("401 before the sign-in, then the call arrives in the user's name, also after a reload; 401 after the sign-out", async () => {
  const page: Page = await (await browser.newContext()).newPage();
  const sent: string[] = [];
  page.on("request", (request) => sent.push(JSON.stringify(request.headers())));
  const press = async () => {
    const [response] = await Promise.all([
      page.waitForResponse((it) => it.url().includes("/api/proxy/")),
      page.getByRole("button", { name: "Call" }).click(),
    ]);
    return { status: response.status(), body: (await response.json()) as Record<string, unknown> };
  };
  await page.goto(origin);
  expect(await press()).toEqual({ status: 401, body: { error: "Not authenticated" } });

  await page.goto(`${origin}/api/auth/signin?callbackUrl=/`);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(`${origin}/`);
  await page.reload();
  const { status, body } = await press();
  expect(status).toBe(200);
  expect(body).toMatchObject({
    method: "POST",
    target: "/api/users/123/notes%20of%20mine?draft=1",
    body: "hello",
    key_ok: true,
  });
  const headers = body.headers as [string, string][];
  const header = (wanted: string) => headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
  expect([header("x-user-id"), header("x-user-roles"), header("cookie")]).toEqual(["123", "editor", undefined]);
  expect(await page.evaluate(async () => (await fetch("/api/proxy/api/users/456/profile")).status)).toBe(403);

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect.poll(async () => (await press()).status, { timeout: 20_000 }).toBe(401);
  // What the browser sent, it sent with its cookie alone.
  expect(sent.join()).not.toMatch(/cl_pub_|[Bb]earer/);
}, 60_000);
