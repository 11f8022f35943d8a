// The Next.js example, built and served by Next.js, with NextAuth, against `conduit dev`, in a real browser: both routers.
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { findFreePort } from "../support/ports.ts";
import { ROOT } from "../support/source-file.ts";
import { runInProduction, startNext } from "./next-process.ts";

const APP = join(ROOT, "sdk/examples/next-app");
const BIN = join(ROOT, "node_modules/.bin");
const PASSWORD = "let-me-in";

let dev: DevFile;
let browser: Browser;
let next: ChildProcess;
let origin: string;

beforeAll(async () => {
  runInProduction("npm", ["run", "--silent", "build", "-w", "sdk"], ROOT);
  runInProduction("next", ["build"], APP);
  // The repository's compiler, with the types that Next.js has just made of the routes.
  runInProduction("tsc", ["-p", APP], ROOT);
  [browser, { dev }] = await Promise.all([launchBrowser(), startConduit("dev")]);
  const port = await findFreePort();
  origin = `http://127.0.0.1:${port}`;
  const env = { NEXTAUTH_URL: origin, NEXTAUTH_SECRET: "a secret of this test, long enough for anyone" };
  next = await startNext({ command: [join(BIN, "next")], cwd: APP, origin, env, password: PASSWORD, dev });
}, 240_000);

afterAll(async () => {
  next?.kill();
  await browser?.close();
});

async function signIn(page: Page): Promise<void> {
  await page.goto(`${origin}/api/auth/signin?callbackUrl=/`);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(`${origin}/`);
}

test.each(["App Router", "Pages Router"])(
  "%s: 401 before the sign-in; after it the call arrives as it was made, in the user's name",
  async (router) => {
    const page = await (await browser.newContext()).newPage();
    const sent: string[] = [];
    page.on("request", (request) => sent.push(JSON.stringify(request.headers())));
    const press = async () => {
      await page.getByRole("button", { name: router }).click();
      await page.locator("#answer", { hasText: /^\d{3} / }).waitFor();
      const [, status, body = ""] = /^(\d{3}) (.*)$/s.exec((await page.textContent("#answer")) ?? "") ?? [];
      return { status: Number(status), body: JSON.parse(body) as Record<string, unknown> };
    };
    await page.goto(origin);
    expect(await press()).toEqual({ status: 401, body: { error: "Not authenticated" } });
    await signIn(page);
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
    // What the browser sent, it sent with its cookie alone.
    expect(sent.join()).not.toMatch(/cl_pub_|[Bb]earer/);
  },
);

test("server-sent events arrive one by one through either router", async () => {
  const page = await (await browser.newContext()).newPage();
  await signIn(page);
  for (const route of ["proxy", "pages-proxy"]) {
    const first = await page.evaluate(async (path) => {
      const controller = new AbortController();
      const response = await fetch(path, { signal: controller.signal });
      const chunk = await response.body?.getReader().read();
      controller.abort();
      return [response.status, new TextDecoder().decode(chunk?.value)];
    }, `/api/${route}/events`);
    expect(first).toEqual([200, expect.stringMatching(/^data:|^event:|^id:|^:/)]);
  }
});

test("a reload keeps the session, another user's path is refused by the proxy, and after the sign-out both routes answer 401", async () => {
  const page = await (await browser.newContext()).newPage();
  await signIn(page);
  await page.reload();
  const call = (path: string) =>
    page.evaluate(async (it) => {
      const response = await fetch(it);
      return [response.status, (await response.json()).code ?? ""];
    }, path);
  for (const route of ["proxy", "pages-proxy"]) {
    expect(await call(`/api/${route}/api/users/123/profile`)).toEqual([200, ""]);
    expect(await call(`/api/${route}/api/users/456/profile`)).toEqual([403, "rule_denied"]);
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect.poll(() => call("/api/proxy/api/users/123/profile"), { timeout: 20_000 }).toEqual([401, ""]);
  expect(await call("/api/pages-proxy/api/users/123/profile")).toEqual([401, ""]);
});
