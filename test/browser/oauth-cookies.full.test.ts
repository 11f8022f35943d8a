// Cookie mode of the OAuth endpoints in a real browser: a page whose session no script can read, across a reload, until
// log-out; and a page of another site that tries to use it.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../support/chromium.ts";
import { startConduit } from "../support/conduit.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";

const parent = "projects/demo";
const LINK = "kept-in-cookies";

let browser: Browser;
let context: BrowserContext;
let page: Page;
let upstream: HttpServer;
let pages: HttpServer;
let dev: { readonly control_url: string; readonly proxy_url: string; readonly api_key: string };

beforeAll(async () => {
  const conduit = await startConduit("dev");
  dev = conduit.dev;
  upstream = await startHttpServer(() => ({ body: { hello: "you" } }));
  pages = await startHttpServer(() => ({ headers: { "content-type": "text/html" }, body: "<title>app</title>" }));
  await call("LinkService/CreateLink", {
    parent,
    linkId: LINK,
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      issuers: [`${parent}/issuers/built-in`],
      linkTokenMode: "LINK_TOKEN_MODE_OFF",
      userTokenCookie: "app_token",
      rules: [{ effect: "RULE_EFFECT_ALLOW", methods: ["GET"], path: "/**" }],
      cors: { origins: [pages.url], credentials: true },
    },
  });
  await setCookies("SAME_SITE_STRICT");
  browser = await launchBrowser();
  context = await browser.newContext();
  page = await context.newPage();
  await page.goto(pages.url);
}, 90_000);

afterAll(async () => {
  await browser?.close();
  await upstream?.close();
  await pages?.close();
});

async function call(method: string, body: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${dev.api_key}`, "content-type": "application/json" };
  const url = `${dev.control_url}/conduit.v1.${method}`;
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}

const setCookies = (sameSite: string) =>
  call("ProjectService/UpdateProject", {
    project: { name: parent, sessionCookies: { sameSite, origins: [pages.url] } },
    updateMask: "sessionCookies",
  });

interface Told {
  readonly status: number;
  readonly body: string;
}

/** Posts a form from the page to an endpoint; what the page can read of the answer, undefined = nothing. */
const post = (from: Page, endpoint: string, parameters: Record<string, string>, headers: Record<string, string> = {}) =>
  from.evaluate(
    async ({ url, form, more }): Promise<Told | undefined> => {
      const init = { method: "POST", credentials: "include", body: new URLSearchParams(form), headers: more } as const;
      const answer = await fetch(url, init).catch(() => undefined);
      return answer && { status: answer.status, body: await answer.text() };
    },
    {
      url: `${dev.control_url}/p/demo/oauth/${endpoint}`,
      form: { client_id: LINK, token_delivery: "cookie", ...parameters },
      more: headers,
    },
  );
const refresh = (more: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  post(page, "token", { grant_type: "refresh_token", ...more }, headers);

/** Calls the API from the page, with nothing but what the browser sends by itself. */
const callApi = () =>
  page.evaluate(async (url) => (await fetch(url, { credentials: "include" })).status, `${dev.proxy_url}/${LINK}/hello`);

async function logIn(): Promise<void> {
  const opened = await call("TokenService/MintToken", {
    ...{ parent, subject: "ada", links: [`${parent}/links/${LINK}`], session: {} },
  });
  expect(await refresh({ refresh_token: String(opened.refreshToken) })).toMatchObject({ status: 200 });
}

test("a session outlives a reload, is readable by no script, and ends at log-out", async () => {
  expect(await callApi()).toBe(401);
  await logIn();
  expect(await callApi()).toBe(200);
  await page.reload();
  const again = await refresh();
  expect(again).toMatchObject({ status: 200 });
  expect(Object.keys(JSON.parse(again?.body ?? "{}")).sort()).toEqual(["expires_in", "token_type"]);
  expect(await callApi()).toBe(200);
  expect(await page.evaluate(() => document.cookie)).toBe("");
  const kept = await context.cookies();
  expect(
    kept.map(({ name, path, httpOnly, secure, sameSite }) => [name, path, httpOnly, secure, sameSite]).toSorted(),
  ).toEqual([
    [`__Secure-conduit-refresh-${LINK}`, "/p/demo/oauth", true, true, "Strict"],
    ["app_token", `/${LINK}`, true, true, "Strict"],
  ]);

  const stolen = kept.find(({ name }) => name === "app_token")?.value ?? "";
  expect(await post(page, "revoke", {})).toEqual({ status: 200, body: "" });
  expect(await context.cookies()).toEqual([]);
  expect(await callApi()).toBe(401);
  expect(await refresh()).toMatchObject({ status: 400 });
  const headers = { cookie: `app_token=${stolen}`, origin: pages.url };
  const replay = async () =>
    (await fetch(`${dev.proxy_url}/${LINK}/hello`, { headers })).headers.get("x-conduit-error");
  await until("revoked at the proxy", async () => ((await replay()) === "token_revoked" ? true : undefined));

  expect(upstream.requests.length).toBeGreaterThanOrEqual(2);
  for (const { headers: lines } of upstream.requests)
    expect(JSON.stringify(lines)).not.toMatch(/cookie|app_token|eyJ|cl_rt_/i);
}, 60_000);

test("a page of another site reads nothing and ends nothing, with and without SameSite", async () => {
  await setCookies("SAME_SITE_NONE");
  const opened = await call("TokenService/MintToken", {
    ...{ parent, subject: "ada", links: [`${parent}/links/${LINK}`], session: {} },
  });
  const first = { refresh_token: String(opened.refreshToken) };
  // Also our own page must send the header now.
  expect(await refresh(first)).toMatchObject({ status: 403 });
  expect(await refresh(first, { "x-conduit-csrf": "1" })).toMatchObject({ status: 200 });

  const evil = await context.newPage();
  await evil.goto(pages.url.replace("127.0.0.1", "localhost"));
  for (const headers of [{}, { "x-conduit-csrf": "1" }] as const) {
    const told = await post(evil, "token", { grant_type: "refresh_token" }, headers);
    // Refused before a token is used; with the header the preflight already fails.
    expect(told === undefined || told.status === 403).toBe(true);
    await post(evil, "revoke", {}, headers);
  }
  expect(await callApi()).toBe(200);
  expect(await refresh({}, { "x-conduit-csrf": "1" })).toMatchObject({ status: 200 });
}, 60_000);
