// Cookie mode of the OAuth endpoints: the browser keeps the session where no script can read it.
import { ApiKeyService } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService, SameSite, type SessionCookies } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type ControlPlane, failureOf, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import { basic, makeClient, type OAuthAnswer, postForm, sendRaw } from "./oauth-client.ts";

const parent = "projects/demo";
const TOKEN = "/p/demo/oauth/token";
const REVOKE = "/p/demo/oauth/revoke";
const PAGE = "https://app.control.example";
const link = `${parent}/links/weather`;
const REFRESH = "__Secure-conduit-refresh-weather";
const SCOPED = "Path=/p/demo/oauth; Max-Age=604800; Secure; HttpOnly; SameSite=Strict";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  const make = (linkId: string, more: object) =>
    plane.client(LinkService).createLink({ parent, linkId, link: { ...PLAIN_LINK, ...more } });
  await make("weather", { userTokenCookie: "app_token" });
  await make("hosted", { userTokenCookie: "__Host-app" });
  await make("shouted", { userTokenCookie: "__HOST-app" });
  await make("plain", {});
  await make("closed", { cors: { origins: ["https://other.example"] } });
  await set({ origins: [PAGE] });
});
afterAll(() => plane[Symbol.asyncDispose]());
afterEach(() => set({ origins: [PAGE] }));

const set = (sessionCookies: Partial<SessionCookies>) =>
  plane.client(ProjectService).updateProject({
    project: { name: parent, sessionCookies: sessionCookies as SessionCookies },
    updateMask: { paths: ["session_cookies"] },
  });

const logIn = (links = [link], scope = "") =>
  plane.client(TokenService).mintToken({ parent, subject: "user-1", links, scope, session: {} });

type More = Readonly<Record<string, string>>;
const ask = (parameters: More, headers: More = {}, path = TOKEN) => {
  const grant = path === TOKEN ? { grant_type: "refresh_token" } : {};
  const form = { ...grant, client_id: "weather", token_delivery: "cookie", ...parameters };
  return postForm(plane, path, form, { origin: PAGE, ...headers });
};
/** What a browser would send next. */
const jarOf = ({ cookies }: OAuthAnswer) => ({ cookie: cookies.map((line) => line.split(";")[0]).join("; ") });
const isEnded = async (session: string): Promise<boolean> =>
  (await plane.client(SessionService).getSession({ name: session })).session?.revokeTime !== undefined;

describe("a page", () => {
  it("hands its refresh token over once, and has both tokens in cookies and none in its hands", async () => {
    const { refreshToken } = await logIn([link], "read");
    const answer = await ask({ refresh_token: refreshToken });
    expect(answer).toMatchObject({
      status: 200,
      body: { token_type: "Bearer", expires_in: 900, scope: "read" },
      headers: {
        ...{ "cache-control": "no-store", "access-control-allow-origin": PAGE, vary: "Origin" },
        "access-control-allow-credentials": "true",
      },
    });
    expect(Object.keys(answer.body ?? {}).sort()).toEqual(["expires_in", "scope", "token_type"]);
    const [refresh = "", access = "", ...more] = answer.cookies;
    expect(more).toEqual([]);
    expect(refresh).toMatch(new RegExp(`^${REFRESH}=cl_rt_[^;]+; ${SCOPED}$`));
    expect(access).toMatch(/^app_token=eyJ[^;]+; Path=\/weather; Max-Age=900; Secure; HttpOnly; SameSite=Strict$/);
  });

  it("goes on after a reload with nothing but the cookie, for as long as the session lives", async () => {
    const { refreshToken } = await logIn();
    let answer = await ask({ refresh_token: refreshToken });
    for (const day of [6, 12, 18, 24]) {
      plane.clock.advance(6 * 86_400_000);
      answer = await ask({}, jarOf(answer));
      const seconds = Math.min(7, 30 - day) * 86_400;
      expect([answer.status, answer.cookies[0]]).toEqual([200, expect.stringContaining(`Max-Age=${seconds};`)]);
    }
    plane.clock.advance(6 * 86_400_000);
    expect(await ask({}, jarOf(answer))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("that has no session is told so", async () => {
    for (const cookie of ["", "other=1", `${REFRESH}=`, `${REFRESH}=a; ${REFRESH}=b`])
      expect(await ask({}, { cookie })).toMatchObject({ status: 400, body: { error: "invalid_grant" }, cookies: [] });
  });

  it("gets the access token in the body when the link takes none from a cookie", async () => {
    const { refreshToken } = await logIn([`${parent}/links/plain`]);
    const { body, cookies } = await ask({ refresh_token: refreshToken, client_id: "plain" });
    expect(body).toMatchObject({ access_token: expect.stringMatching(/^eyJ/) });
    expect(body).not.toHaveProperty("refresh_token");
    expect(cookies).toEqual([expect.stringMatching(/^__Secure-conduit-refresh-plain=/)]);
  });

  it("never gets out of the cookie what is in it: in body mode it is not read", async () => {
    const { refreshToken } = await logIn();
    const jar = jarOf(await ask({ refresh_token: refreshToken }));
    const answer = await ask({ token_delivery: "body" }, jar);
    expect(answer).toMatchObject({ status: 400, body: { error: "invalid_request" }, cookies: [] });
    expect((await ask({}, jar)).status).toBe(200);
  });

  it("signs out though somebody has set a second cookie of the name beside its own", async () => {
    const { refreshToken, session } = await logIn();
    const { cookie } = jarOf(await ask({ refresh_token: refreshToken }));
    const tossed = `${REFRESH}=${(await logIn()).refreshToken}; ${REFRESH}=made-up; ${cookie}`;
    expect((await ask({}, { cookie: tossed }, REVOKE)).status).toBe(200);
    expect(await isEnded(session)).toBe(true);
  });

  it("signs out: the session ends at every proxy, and both cookies go", async () => {
    const { refreshToken, session } = await logIn();
    const jar = jarOf(await ask({ refresh_token: refreshToken }));
    const cleared = [
      `${REFRESH}=; ${SCOPED.replace("604800", "0")}`,
      "app_token=; Path=/weather; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
    ];
    expect(await ask({}, jar, REVOKE)).toMatchObject({ status: 200, body: undefined, cookies: cleared });
    expect(await isEnded(session)).toBe(true);
    expect(await ask({}, jar)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    // Without a session, or with somebody's made-up one, there is nothing to end, and nothing is left.
    for (const cookie of ["", `${REFRESH}=made-up`])
      expect(await ask({}, { cookie }, REVOKE)).toMatchObject({ status: 200, cookies: cleared });
  });
});

describe("another page", () => {
  it.each<[string, number, More, More, Partial<SessionCookies>]>([
    ["of an origin that is not listed", 403, {}, { origin: "https://evil.control.example" }, {}],
    ["of no origin", 403, {}, { origin: "null" }, {}],
    ["without the header, when cookies are sent from anywhere", 403, {}, {}, { sameSite: SameSite.NONE }],
    ["of an origin that the link does not list", 403, { client_id: "closed" }, {}, {}],
    ["that wants something else", 400, { token_delivery: "header" }, {}, {}],
  ])("%s gets nothing, and no token is used up (CSRF)", async (_what, status, form, headers, settings) => {
    const { refreshToken, session } = await logIn();
    const jar = jarOf(await ask({ refresh_token: refreshToken }));
    await set({ origins: [PAGE], ...settings });
    for (const path of [TOKEN, REVOKE])
      expect(await ask(form, { ...jar, ...headers }, path)).toMatchObject({ status, cookies: [] });
    await set({ origins: [PAGE] });
    expect(await isEnded(session)).toBe(false);
    plane.clock.advance(31_000);
    expect((await ask({}, jar)).status).toBe(200);
  });

  it("gets no cookies to go with its requests, and its preflight does not allow the header", async () => {
    const preflight = (origin: string) =>
      sendRaw(plane, TOKEN, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
    const own = (await preflight(PAGE))?.headers;
    expect(own).toMatchObject({
      ...{ "access-control-allow-origin": PAGE, "access-control-allow-credentials": "true", vary: "Origin" },
      "access-control-allow-headers": "content-type, traceparent, x-conduit-csrf",
    });
    const foreign = (await preflight("https://evil.example"))?.headers;
    expect(foreign).toMatchObject({
      ...{ "access-control-allow-origin": "*", "access-control-allow-headers": "content-type, traceparent" },
    });
    expect(foreign).not.toHaveProperty("access-control-allow-credentials");
  });

  it("of the issuer's own origin needs no listing", async () => {
    const { refreshToken } = await logIn();
    const headers = { origin: "https://control.example" };
    expect((await ask({ refresh_token: refreshToken }, headers)).status).toBe(200);
  });
});

it("is not for back ends: who has a secret keeps tokens itself", async () => {
  const client = await makeClient(plane, parent, "back-end");
  const form = { grant_type: "client_credentials", resource: link, token_delivery: "cookie" };
  const answer = await postForm(plane, TOKEN, form, { origin: PAGE, ...basic(client.id, client.secret) });
  expect(answer).toMatchObject({ status: 400, body: { error: "invalid_request" }, cookies: [] });
});

describe("the project's settings", () => {
  it.each([
    [SameSite.LAX, "Lax", {}],
    [SameSite.NONE, "None", { "x-conduit-csrf": "1" }],
  ] as const)("SameSite %s", async (sameSite, text, headers) => {
    await set({ origins: [PAGE], sameSite });
    const { refreshToken } = await logIn();
    const { cookies } = await ask({ refresh_token: refreshToken }, headers);
    expect(cookies).toHaveLength(2);
    for (const line of cookies) expect(line).toMatch(new RegExp(`SameSite=${text}$`));
  });

  it("give the access cookie a domain, and the refresh cookie none", async () => {
    await set({ origins: [PAGE], domain: "control.example" });
    const { refreshToken } = await logIn();
    const { cookies } = await ask({ refresh_token: refreshToken });
    expect(cookies.map((line) => line.includes("; Domain=control.example;"))).toEqual([false, true]);
  });

  it.each(["hosted", "shouted"])(
    "give way to the __Host- prefix of %s, which browsers read in any case",
    async (id) => {
      await set({ origins: [PAGE], domain: "control.example" });
      const { refreshToken } = await logIn([`${parent}/links/${id}`]);
      const { cookies } = await ask({ refresh_token: refreshToken, client_id: id });
      expect(cookies[1]).toMatch(/^__Host-app=[^;]+; Path=\/; Max-Age=900; Secure; HttpOnly; SameSite=Strict$/i);
    },
  );

  it("are read back, and start strict and for nobody", async () => {
    const created = await plane.client(ProjectService).createProject({ projectId: "fresh" });
    expect(created.project?.sessionCookies).toMatchObject({ sameSite: SameSite.STRICT, origins: [], domain: "" });
    const { project } = await set({ origins: [PAGE], sameSite: SameSite.LAX });
    expect(project?.sessionCookies).toMatchObject({ sameSite: SameSite.LAX, origins: [PAGE] });
  });

  it("may be used by pages of this machine and by app shells", async () => {
    const origins = ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:80", "capacitor://localhost"];
    expect((await failureOf(set({ origins }))).fields).toEqual(["project.session_cookies.origins[2]"]);
    origins[2] = "http://[::1]:8080";
    expect((await set({ origins })).project?.sessionCookies?.origins).toEqual(origins);
  });

  it.each<[Partial<SessionCookies>, string]>([
    [{ origins: [PAGE, "https://app.example/"] }, "origins[1]"],
    [{ origins: ["*"] }, "origins[0]"],
    [{ origins: [PAGE, "http://localhost:3000", "http://app.control.example"] }, "origins[2]"],
    [{ origins: ["https://*.control.example"] }, "origins[0]"],
    [{ domain: "example" }, "domain"],
    [{ domain: "other.example" }, "domain"],
    [{ domain: "rol.example" }, "domain"],
    [{ domain: "Control.example" }, "domain"],
  ])("%j are refused", async (settings, field) => {
    expect((await failureOf(set(settings))).fields).toEqual([`project.session_cookies.${field}`]);
  });
});

describe("what does not fit", () => {
  it("is refused at mint with size and limit, for a cookie and for a header", async () => {
    const mint = (links: string[], length: number) =>
      failureOf(
        plane.client(TokenService).mintToken({ parent, subject: "u", links, claims: { x: "y".repeat(length) } }),
      );
    expect((await mint([link], 3_000)).message).toMatch(/cookie .* would be \d{4} bytes long and may be 4096/);
    expect((await mint([`${parent}/links/plain`], 6_500)).message).toMatch(
      /header line would be \d{4} bytes long and may be 8192/,
    );
  });

  it("for a link that has got a cookie since is refused at the refresh, and the session goes on", async () => {
    const plain = `${parent}/links/plain`;
    const opened = await plane
      .client(TokenService)
      .mintToken({ parent, subject: "u", links: [plain], claims: { x: "y".repeat(3_000) }, session: {} });
    const cookieOf = (userTokenCookie: string) =>
      plane
        .client(LinkService)
        .updateLink({ link: { name: plain, userTokenCookie }, updateMask: { paths: ["user_token_cookie"] } });
    await cookieOf("late");
    const answer = await ask({ refresh_token: opened.refreshToken, client_id: "plain" });
    expect(answer).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect(answer.body?.error_description).toMatch(/would be \d{4} bytes long and may be 4096/);
    await cookieOf("");
    plane.clock.advance(31_000);
    expect((await ask({ client_id: "plain" }, jarOf(answer))).status).toBe(200);
  });
});

it("too many calls are told when to come again", async () => {
  const { apiKey } = await plane
    .client(ApiKeyService)
    .createApiKey({ parent, apiKeyId: "slow", apiKey: { role: 2, requestsPerMinute: 1 } });
  const secret = apiKey?.key ?? "";
  const call = () => postForm(plane, "/p/demo/oauth/introspect", { token: "x" }, basic("slow", secret));
  const answers = [await call(), await call(), await call()];
  expect(answers.at(-1)).toMatchObject({
    status: 429,
    headers: { "retry-after": expect.stringMatching(/^[1-9]\d*$/), "cache-control": "no-store" },
    body: { error: "temporarily_unavailable" },
  });
});
