// The SDK's sessions against the real token and revocation endpoints, without sockets between.
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createConduit, isConduitError } from "../../sdk/src/index.ts";
import { createSession, fromControlPlane, memoryStore, type TokenStore } from "../../sdk/src/session/index.ts";
import { type ControlPlane, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import { sendRaw } from "./oauth-client.ts";

const parent = "projects/demo";
const PAGE = "https://app.control.example";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  await plane.client(LinkService).createLink({ parent, linkId: "weather", link: PLAIN_LINK });
  await plane.client(ProjectService).updateProject({
    project: { name: parent, sessionCookies: { origins: [PAGE] } },
    updateMask: { paths: ["session_cookies"] },
  });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** A browser: sends the origin, keeps cookies, and loses answers when told to. */
function openBrowser() {
  const jar = new Map<string, string>();
  const browser = {
    loseNext: false,
    jar,
    async fetch(input: string | Request, init: RequestInit): Promise<Response> {
      const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
      const headers = { origin: PAGE, ...(init.credentials === "include" && cookie && { cookie }) };
      const sent = Object.fromEntries([...new Headers(init.headers)]);
      const answer = await sendRaw(plane, new URL(String(input)).pathname, {
        method: init.method ?? "GET",
        headers: { ...sent, ...headers },
        body: String(init.body),
      });
      if (browser.loseNext) {
        browser.loseNext = false;
        throw new TypeError("fetch failed");
      }
      for (const line of answer?.cookies ?? []) {
        const [name = "", value = ""] = line.split(";")[0]?.split("=") ?? [];
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      return new Response(answer?.body ? JSON.stringify(answer.body) : null, { status: answer?.status ?? 404 });
    },
  };
  return browser;
}

function openTab(browser: ReturnType<typeof openBrowser>, store: TokenStore, cookies: boolean) {
  const platform = { fetch: browser.fetch };
  const refresh = fromControlPlane({
    issuer: "https://control.example/p/demo",
    clientId: "weather",
    cookies,
    platform,
  });
  const session = createSession({ store, refresh });
  const conduit = createConduit({ url: "https://proxy.example/weather", getToken: session, autoRefresh: false });
  return { session, conduit, tokens: conduit.tokens };
}

const logIn = () =>
  plane.client(TokenService).mintToken({ parent, subject: "user-1", links: [`${parent}/links/weather`], session: {} });
const sessions = async () => (await plane.client(SessionService).listSessions({ parent })).sessions;

it.each([false, true])(
  "a session is rotated, survives a lost answer long after the window, and ends at the server (cookies: %s)",
  async (cookies) => {
    const browser = openBrowser();
    const store = memoryStore();
    const tab = openTab(browser, store, cookies);
    const { accessToken, refreshToken, expiresIn } = await logIn();
    await tab.session.signIn({ accessToken, refreshToken, expiresIn: Number(expiresIn) });
    const first = await tab.tokens.getToken();
    const second = await tab.tokens.refresh();
    expect(second).not.toBe(first);
    // The rotation is done, its answer never arrives; the next start of the app, a day later, finishes it.
    browser.loseNext = true;
    await expect(tab.tokens.refresh()).rejects.toSatisfy((error) => isConduitError(error, "refresh_failed"));
    plane.clock.advance(86_400_000);
    const restarted = openTab(browser, store, cookies);
    expect(await restarted.tokens.refresh()).not.toBe(second);
    await restarted.tokens.refresh();
    const live = (await sessions()).filter(({ revokeTime }) => revokeTime === undefined);
    expect(live).toHaveLength(1);
    expect((await store.read())?.includes("cl_rt_")).toBe(!cookies);
    await restarted.conduit.signOut();
    expect((await sessions()).filter(({ revokeTime }) => revokeTime === undefined)).toEqual([]);
    expect([...browser.jar]).toEqual([]);
    await expect(restarted.tokens.getToken()).rejects.toSatisfy((error) => isConduitError(error, "session_lost"));
  },
);

it.each([false, true])("two tabs without locks and a channel make one rotation (cookies: %s)", async (cookies) => {
  const browser = openBrowser();
  const store = memoryStore();
  const [a, b] = [openTab(browser, store, cookies), openTab(browser, store, cookies)];
  const { accessToken, refreshToken, expiresIn } = await logIn();
  await a.session.signIn({ accessToken, refreshToken, expiresIn: Number(expiresIn) });
  const [ofA, ofB] = [await a.tokens.acquire(), await b.tokens.acquire()];
  const renewed = await Promise.all([a.tokens.renew(ofA), b.tokens.renew(ofB)]);
  expect(renewed[0]?.token).toBe(renewed[1]?.token);
  expect(await a.tokens.refresh()).toMatch(/^ey/);
  await a.conduit.signOut();
});
