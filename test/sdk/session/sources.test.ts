// Token sources against a server that answers as a control plane or a back end does.
import { afterEach, beforeEach, expect, test } from "vitest";
import { createConduit, isConduitError, TokenManager } from "../../../sdk/src/index.ts";
import {
  createSession,
  fromBackend,
  fromControlPlane,
  fromToken,
  memoryStore,
} from "../../../sdk/src/session/index.ts";
import { type Answer, type HttpServer, startHttpServer } from "../../support/http-server.ts";
import { rejection } from "../fake-link.ts";
import { createFakePlatform } from "../fake-platform.ts";

let server: HttpServer;
let answer: Answer;

beforeEach(async () => {
  answer = { body: { access_token: "t2", token_type: "Bearer", expires_in: 900, refresh_token: "r 2" } };
  server = await startHttpServer(() => answer);
});
afterEach(() => server.close());

const controlPlane = () => fromControlPlane({ issuer: `${server.url}/p/demo`, clientId: "my-link" });
const form = () => Object.fromEntries(new URLSearchParams(String(server.requests.at(-1)?.body)));

test("the control plane gets a refresh_token grant with the attempt, and its pair is held", async () => {
  const manager = new TokenManager({ refresh: controlPlane().getToken, platform: { randomId: () => "attempt-1" } });
  manager.setToken({ accessToken: "t1", refreshToken: "r&1=" });
  expect(await manager.refresh()).toBe("t2");
  const [request] = server.requests;
  expect([request?.method, request?.target]).toEqual(["POST", "/p/demo/oauth/token"]);
  expect(request?.header("content-type")).toEqual(["application/x-www-form-urlencoded"]);
  expect(form()).toEqual({
    grant_type: "refresh_token",
    refresh_token: "r&1=",
    attempt_id: "attempt-1",
    client_id: "my-link",
  });
  expect((await manager.acquire()).refreshToken).toBe("r 2");
});

test.each<[string, Answer, "session_lost" | "refresh_failed"]>([
  ["invalid_grant", { status: 400, body: { error: "invalid_grant" } }, "session_lost"],
  ["another OAuth error", { status: 400, body: { error: "invalid_request" } }, "refresh_failed"],
  ["invalid_client", { status: 401, body: { error: "invalid_client" } }, "refresh_failed"],
  ["invalid_grant under another status", { status: 500, body: { error: "invalid_grant" } }, "refresh_failed"],
  ["a 400 that is no JSON", { status: 400, body: "<html>" }, "refresh_failed"],
  ["429", { status: 429, body: {} }, "refresh_failed"],
  ["503", { status: 503, body: "down" }, "refresh_failed"],
  ["a redirect", { status: 307, headers: { location: "/elsewhere" } }, "refresh_failed"],
  ["an answer without a token", { body: {} }, "refresh_failed"],
])("from the control plane, %s is %s", async (_name, given, code) => {
  answer = given;
  const manager = new TokenManager({ refresh: controlPlane().getToken });
  manager.setToken({ accessToken: "t1", refreshToken: "r1" });
  expect(isConduitError(await rejection(manager.refresh()), code)).toBe(true);
  expect(manager.state).toBe(code === "session_lost" ? "lost" : "ready");
  expect(
    server.requests.map(({ target }) => target),
    "a refresh token follows no redirect",
  ).toEqual(["/p/demo/oauth/token"]);
});

test("a Retry-After of either source holds off further calls", async () => {
  answer = { status: 429, headers: { "retry-after": "30" } };
  for (const refresh of [controlPlane().getToken, fromBackend(`${server.url}/token`)]) {
    server.clear();
    const { platform, advance } = createFakePlatform();
    const manager = new TokenManager({ refresh, platform });
    manager.setToken({ accessToken: "t1", refreshToken: "r1" }, 1);
    await advance(2_000);
    for (let call = 0; call < 3; call++) {
      expect(isConduitError(await rejection(manager.getToken()), "refresh_failed")).toBe(true);
    }
    expect(server.requests).toHaveLength(1);
  }
});

test("without a refresh token nobody is signed in, and nothing is sent", async () => {
  const manager = new TokenManager({ refresh: controlPlane().getToken });
  expect(isConduitError(await rejection(manager.getToken()), "session_lost")).toBe(true);
  expect(server.requests).toEqual([]);
});

test("revoking names the refresh token; a server that cannot be told is an error without the token in it", async () => {
  answer = { body: "" };
  await controlPlane().revoke?.("r1");
  expect([server.requests[0]?.target, form()]).toEqual(["/p/demo/oauth/revoke", { token: "r1", client_id: "my-link" }]);
  answer = { status: 503 };
  const error = await rejection(Promise.resolve(controlPlane().revoke?.("secret-refresh-token")));
  expect(String(error)).toContain("503");
  expect(String(error)).not.toContain("secret");
});

test("in cookie mode the login's refresh token is handed over once, before anything is kept; then the cookie alone counts", async () => {
  answer = { body: { access_token: "t2", token_type: "Bearer", expires_in: 900 } };
  const refresh = fromControlPlane({ issuer: `${server.url}/p/demo`, clientId: "my-link", cookies: true });
  const store = memoryStore();
  const session = createSession({ store, refresh });
  const conduit = createConduit({ url: `${server.url}/link`, getToken: session, autoRefresh: false });
  await session.signIn({ accessToken: "t1", refreshToken: "r1", expiresIn: 900 });
  expect(form()).toEqual({
    grant_type: "refresh_token",
    refresh_token: "r1",
    client_id: "my-link",
    token_delivery: "cookie",
  });
  expect(server.requests[0]?.header("x-conduit-csrf")).toEqual(["1"]);
  expect(await store.read()).not.toContain("r1");
  expect(await conduit.tokens.refresh()).toBe("t2");
  expect(form()).toMatchObject({ grant_type: "refresh_token", token_delivery: "cookie" });
  expect(form()).not.toHaveProperty("refresh_token");
  await conduit.signOut();
  expect([server.requests.at(-1)?.target, form()]).toEqual([
    "/p/demo/oauth/revoke",
    { client_id: "my-link", token_delivery: "cookie" },
  ]);
});

test("in cookie mode a page without a store asks its cookie; without one it is signed out", async () => {
  const { getToken } = fromControlPlane({ issuer: `${server.url}/p/demo`, clientId: "my-link", cookies: true });
  expect(await new TokenManager({ refresh: getToken }).getToken()).toBe("t2");
  answer = { status: 400, body: { error: "invalid_grant" } };
  expect(isConduitError(await rejection(new TokenManager({ refresh: getToken }).getToken()), "session_lost")).toBe(
    true,
  );
});

test("the back end gets reason and attempt, and answers a grant", async () => {
  const platform = { randomId: () => "attempt-1" };
  const headers = { "X-CSRF": "1" };
  const manager = new TokenManager({ refresh: fromBackend(`${server.url}/token`, { headers }), platform });
  expect(await manager.getToken()).toBe("t2");
  const [request] = server.requests;
  expect(JSON.parse(String(request?.body))).toEqual({ reason: "initial", attempt_id: "attempt-1" });
  expect([request?.header("x-csrf"), request?.header("content-type")]).toEqual([["1"], ["application/json"]]);
});

test.each<[number, "session_lost" | "refresh_failed"]>([
  [401, "session_lost"],
  [403, "refresh_failed"],
  [404, "refresh_failed"],
  [429, "refresh_failed"],
  [500, "refresh_failed"],
  [302, "refresh_failed"],
])("from the back end, %i is %s", async (status, code) => {
  answer = { status, headers: { location: "/elsewhere" }, body: { access_token: "x" } };
  const manager = new TokenManager({ refresh: fromBackend(`${server.url}/token`) });
  expect(isConduitError(await rejection(manager.getToken()), code)).toBe(true);
  expect(server.requests).toHaveLength(1);
});

test.each([
  "http://control.example/p/demo",
  "HTTP://x",
  " http://x",
  "http://localhost@evil/",
  "http://127.0.0.1.evil/",
  "h\nttp://x",
])("%j is refused: anyone on the way could read the tokens", (url) => {
  expect(() => fromBackend(url)).toThrow(TypeError);
  expect(() => fromControlPlane({ issuer: url, clientId: "x" })).toThrow(TypeError);
});

test.each(["/api/token", "https://x/y", "http://localhost:3000/x", "http://127.0.0.1/x", "http://[::1]:1/x"])(
  "%j is fine",
  (url) => {
    fromBackend(url);
  },
);

test("a fixed token is used until it is refused, then its 401 is the answer, without a second attempt", async () => {
  answer = { status: 401, headers: { "X-Conduit-Error": "token_expired" }, body: {} };
  const conduit = createConduit({ url: `${server.url}/link`, getToken: fromToken("fixed") });
  expect((await conduit.fetchWithAuth("/x")).status).toBe(401);
  expect(server.requests.map((request) => request.header("authorization"))).toEqual([["Bearer fixed"]]);
  expect(conduit.state).toBe("ready");
  conduit.dispose();
});

test("what is left out is named", () => {
  const none = {} as { issuer: string; clientId: string; store: ReturnType<typeof memoryStore>; refresh: () => string };
  expect(() => fromControlPlane(none)).toThrow("issuer must be a URL");
  expect(() => fromBackend(none.issuer)).toThrow("url must be a URL");
  expect(() => createSession(none)).toThrow("store must be a TokenStore");
  expect(() => createSession({ ...none, store: memoryStore() })).toThrow("refresh must be a source of tokens");
});
