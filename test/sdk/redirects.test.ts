import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { isNotAllowed, rejection, useFakeLink } from "./fake-link.ts";

const link = useFakeLink();

const redirectOnce = (status: number, location: string) => {
  link.answer = ({ target, body }) =>
    target.endsWith("/start") ? { status, headers: { location } } : { body: body.toString() };
};

test.each([301, 302, 303, 307, 308])(
  "a %i to another origin is not followed: nothing arrives there",
  async (status) => {
    redirectOnce(status, `${link.stranger.url}/link/x`);
    for (const redirect of [undefined, "follow"] as const) {
      const { fetchWithAuth } = link.open();
      const call = fetchWithAuth("/start", { method: "POST", body: "x", ...(redirect && { redirect }) });
      expect(await isNotAllowed(call)).toBe(true);
    }
    expect(link.stranger.requests).toEqual([]);
  },
);

test("a redirect to another link of the same proxy is not followed", async () => {
  redirectOnce(302, "/other-link/x");
  expect(await isNotAllowed(link.open().fetchWithAuth("/start"))).toBe(true);
  expect(link.proxy.requests).toHaveLength(1);
});

test("a redirect within the link is followed, credentials included, relative ones against the answer's URL", async () => {
  link.answer = ({ target }) => {
    if (target === "/link/a/start") return { status: 302, headers: { location: "b?q=1" } };
    if (target === "/link/a/b?q=1") return { status: 302, headers: { location: "/link/c" } };
    return { body: "there" };
  };
  const response = await link.open().fetchWithAuth("/a/start");
  expect(await response.text()).toBe("there");
  expect(link.proxy.requests.map(({ target }) => target)).toEqual(["/link/a/start", "/link/a/b?q=1", "/link/c"]);
  expect(link.tokensSeen()).toEqual(["Bearer t1", "Bearer t1", "Bearer t1"]);
});

test.each([
  // status, method, method after, body kept
  [301, "POST", "GET", false],
  [302, "POST", "GET", false],
  [303, "POST", "GET", false],
  [303, "PUT", "GET", false],
  [303, "HEAD", "HEAD", false],
  [302, "PUT", "PUT", true],
  [307, "POST", "POST", true],
  [308, "DELETE", "DELETE", true],
])("after %i a %s becomes %s, as in fetch", async (status, method, after, keepsBody) => {
  redirectOnce(status, "/link/end");
  const body = method === "HEAD" ? null : "payload";
  for (const asRequest of [false, true]) {
    link.proxy.clear();
    const { fetchWithAuth } = link.open();
    const init = { method, body, headers: { "content-type": "text/x" } };
    await (asRequest
      ? fetchWithAuth(new Request(`${link.proxy.url}/link/start`, init))
      : fetchWithAuth("/start", init));
    const end = link.proxy.requests.at(-1);
    expect([end?.target, end?.method, String(end?.body)]).toEqual(["/link/end", after, keepsBody ? "payload" : ""]);
    const keepsType = keepsBody || method === "HEAD";
    expect(end?.header("content-type")).toEqual(keepsType ? ["text/x"] : []);
  }
});

test("a 307 with a streamed body is body_not_replayable", async () => {
  redirectOnce(307, "/link/end");
  const call = link.open().fetchWithAuth("/start", { method: "POST", body: Readable.from([Buffer.from("x")]) });
  expect(isConduitError(await rejection(call), "body_not_replayable")).toBe(true);
});

test("a redirect loop ends after 20", async () => {
  link.answer = () => ({ status: 302, headers: { location: "/link/start" } });
  const error = await rejection(link.open().fetchWithAuth("/start"));
  expect(isConduitError(error, "redirect_refused")).toBe(true);
  expect(link.proxy.requests).toHaveLength(21);
});

test("'manual' gets the redirect, 'error' rejects, neither follows", async () => {
  redirectOnce(302, `${link.stranger.url}/x`);
  const { fetchWithAuth } = link.open();
  const response = await fetchWithAuth("/start", { redirect: "manual" });
  expect([response.status, response.headers.get("location")]).toEqual([302, `${link.stranger.url}/x`]);
  expect(await rejection(fetchWithAuth("/start", { redirect: "error" }))).toBeInstanceOf(TypeError);
  expect(link.stranger.requests).toEqual([]);
});

test("a 3xx without Location is an answer like any other", async () => {
  link.answer = () => ({ status: 302 });
  expect((await link.open().fetchWithAuth("/start")).status).toBe(302);
});

test("in a browser, which hides where a redirect leads, the call rejects with redirect_refused", async () => {
  const seen: (RequestRedirect | undefined)[] = [];
  const opaque = Object.defineProperties(new Response(null), {
    type: { value: "opaqueredirect" },
    status: { value: 0 },
  });
  const fetch = async (_input: unknown, init: RequestInit) => {
    seen.push(init.redirect);
    return opaque;
  };
  const { fetchWithAuth } = link.open({ platform: { fetch } });
  expect(isConduitError(await rejection(fetchWithAuth("/x")), "redirect_refused")).toBe(true);
  expect(seen).toEqual(["manual"]);
});
