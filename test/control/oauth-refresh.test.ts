// refresh_token at the token endpoint and revocation, for back ends (API key) and for apps without a secret (a link).
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { decodeJwt } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { type ControlPlane, makeLink, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import {
  basic,
  makeClient,
  type OAuthAnswer,
  postForm,
  routesAsFetch,
  sendRaw,
  type TestClient,
} from "./oauth-client.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";
const TOKEN = "/p/demo/oauth/token";
const REVOKE = "/p/demo/oauth/revoke";
const PAGE = "https://app.example";

let plane: ControlPlane;
let backEnd: TestClient;
let link: string;
let closed: string;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  await plane.makeProject("other");
  backEnd = await makeClient(plane, parent, "back-end");
  link = await makeLink(plane, parent, "weather");
  await makeLink(plane, parent, "tides");
  await makeLink(plane, "projects/other", "foreign");
  closed = `${parent}/links/closed`;
  const closedLink = { ...PLAIN_LINK, cors: { origins: [PAGE] } };
  await plane.client(LinkService).createLink({ parent, linkId: "closed", link: closedLink });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** A session's first tokens, as the back end gets them when it has logged a user in. */
async function logIn(
  links = [link],
  scope = "",
): Promise<{ accessToken: string; refreshToken: string; session: string }> {
  const request = { parent, subject: "user-1", links, scope, session: {} };
  return plane.client(TokenService, backEnd.secret).mintToken(request);
}

const asApp = (refresh_token: string, more: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  postForm(plane, TOKEN, { grant_type: "refresh_token", client_id: "weather", refresh_token, ...more }, headers);
const refused = { status: 400, body: { error: "invalid_grant" } };
const isEnded = async (session: string): Promise<boolean> =>
  (await plane.client(SessionService).getSession({ name: session })).session?.revokeTime !== undefined;

describe("an app without a secret", () => {
  it("gets the next tokens of its session, for itself", async () => {
    const { refreshToken } = await logIn([link], "read");
    const answer = await asApp(refreshToken);
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store" } });
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(/^eyJ/),
      refresh_token: expect.stringMatching(/^cl_rt_/),
      ...{ token_type: "Bearer", expires_in: 900, scope: "read" },
    });
    expect(answer.body?.refresh_token).not.toBe(refreshToken);
    expect(decodeJwt(String(answer.body?.access_token))).toMatchObject({ iss, sub: "user-1", client_id: "weather" });
  });

  it("gets a lost answer again with its attempt_id, long after", async () => {
    const { refreshToken } = await logIn();
    const first = await asApp(refreshToken, { attempt_id: "a-1" });
    plane.clock.advance(60_000);
    const again = await asApp(refreshToken, { attempt_id: "a-1" });
    expect(again.body?.refresh_token).toBe(first.body?.refresh_token);
  });

  it("may ask for less scope than the session has, and later for all of it again (RFC 6749 6)", async () => {
    const { refreshToken } = await logIn([link], "read write");
    const less = await asApp(refreshToken, { scope: "write" });
    expect([less.body?.scope, decodeJwt(String(less.body?.access_token)).scope]).toEqual(["write", "write"]);
    const all = await asApp(String(less.body?.refresh_token));
    expect([all.body?.scope, decodeJwt(String(all.body?.access_token)).scope]).toEqual(["read write", "read write"]);
  });

  it.each([
    ["read admin", "read write"],
    ["read", ""],
  ])("gets no token for the scope %j of a session with %j, and keeps its refresh token", async (scope, held) => {
    const { refreshToken } = await logIn([link], held);
    expect(await asApp(refreshToken, { scope })).toMatchObject({ status: 400, body: { error: "invalid_scope" } });
    plane.clock.advance(31_000);
    expect(await asApp(refreshToken)).toMatchObject({ status: 200 });
  });

  it("ends the session by a second use", async () => {
    const { refreshToken, session } = await logIn();
    await asApp(refreshToken);
    plane.clock.advance(31_000);
    expect(await asApp(refreshToken)).toMatchObject(refused);
    expect(await isEnded(session)).toBe(true);
  });

  it.each<[string, (token: string) => Promise<OAuthAnswer>]>([
    ["another link's id", (token) => asApp(token, { client_id: "tides" })],
    ["a made-up token", () => asApp("cl_rt_x")],
    ["another project's endpoint", (token) => postOther(token)],
  ])("gets nothing with %s, and the session goes on", async (_what, ask) => {
    const { refreshToken, session } = await logIn();
    expect(await ask(refreshToken)).toMatchObject(refused);
    expect(await isEnded(session)).toBe(false);
    expect((await asApp(refreshToken)).status).toBe(200);
  });

  const postOther = (refresh_token: string) =>
    postForm(plane, "/p/other/oauth/token", { grant_type: "refresh_token", client_id: "foreign", refresh_token });

  it("must say who it is, and can do nothing else", async () => {
    const { refreshToken, accessToken } = await logIn();
    const unknown = { status: 401, body: { error: "invalid_client" } };
    expect(await asApp(refreshToken, { client_id: "" })).toMatchObject(unknown);
    expect(await asApp(refreshToken, { client_id: "nobody" })).toMatchObject(unknown);
    expect(await asApp(refreshToken, { client_id: "foreign" })).toMatchObject(unknown);
    const grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"];
    for (const grant_type of grants)
      expect(await postForm(plane, TOKEN, { grant_type, client_id: "weather", resource: link })).toMatchObject(unknown);
    const introspection = { client_id: "weather", token: accessToken };
    expect(await postForm(plane, "/p/demo/oauth/introspect", introspection)).toMatchObject(unknown);
  });

  it("ends its own session, and only that", async () => {
    const [own, other] = [await logIn(), await logIn([`${parent}/links/tides`])];
    const revoke = (token: string) => postForm(plane, REVOKE, { token, client_id: "weather" });
    for (const token of [own.refreshToken, other.refreshToken, other.accessToken, "x"])
      expect(await revoke(token)).toMatchObject({ status: 200, body: undefined });
    expect([await isEnded(own.session), await isEnded(other.session)]).toEqual([true, false]);
    const introspect = async (token: string) =>
      (await plane.client(TokenService).introspectToken({ parent, token })).active;
    expect([await introspect(own.accessToken), await introspect(other.accessToken)]).toEqual([false, true]);
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    expect(records.filter(({ resource }) => resource === own.session).at(-1)).toMatchObject({
      ...{ actor: link, action: "TokenService.RevokeToken", clientAddress: "203.0.113.7" },
    });
  });

  it("withdraws an access token of its own link", async () => {
    const { accessToken } = await logIn();
    await postForm(plane, REVOKE, { token: accessToken, client_id: "weather" });
    expect((await plane.client(TokenService).introspectToken({ parent, token: accessToken })).active).toBe(false);
  });
});

describe("a back end", () => {
  it("refreshes the sessions it has opened, with its key", async () => {
    const { refreshToken } = await logIn();
    const form = { grant_type: "refresh_token", refresh_token: refreshToken };
    const stranger = await makeClient(plane, parent, "stranger");
    expect(await postForm(plane, TOKEN, form, basic(stranger.id, stranger.secret))).toMatchObject(refused);
    const answer = await postForm(plane, TOKEN, form, basic(backEnd.id, backEnd.secret));
    expect(decodeJwt(String(answer.body?.access_token))).toMatchObject({ client_id: "back-end" });
  });
});

describe("pages of other origins", () => {
  const FOREIGN = "https://evil.example";
  const preflight = (path: string) =>
    sendRaw(plane, path, { method: "OPTIONS", headers: { origin: PAGE, "access-control-request-method": "POST" } });

  it("may call token and revoke, and nothing else (S24)", async () => {
    for (const path of [TOKEN, REVOKE])
      expect(await preflight(path)).toMatchObject({
        status: 204,
        headers: {
          ...{ "access-control-allow-origin": "*", "access-control-allow-methods": "POST" },
          ...{ "access-control-max-age": "600" },
        },
      });
    expect((await preflight("/p/demo/oauth/introspect"))?.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("read the answers of a link that lists no origins, refusals too", async () => {
    const { refreshToken } = await logIn();
    const headers = { origin: FOREIGN };
    const answers = [
      await asApp(refreshToken, {}, headers),
      await asApp("x", {}, headers),
      await asApp("x", { client_id: "nobody" }, headers),
      await sendRaw(plane, TOKEN, { method: "POST", headers, body: "" }),
    ];
    expect(answers.map((answer) => answer?.status)).toEqual([200, 400, 401, 400]);
    for (const answer of answers) {
      expect(answer?.headers["access-control-allow-origin"]).toBe("*");
      expect(answer?.headers).not.toHaveProperty("access-control-allow-credentials");
    }
  });

  it("are held to a link's own origins before its token is used up", async () => {
    const { refreshToken } = await logIn([closed]);
    const more = { client_id: "closed" };
    const answer = await asApp(refreshToken, more, { origin: FOREIGN });
    expect(answer).toMatchObject({ status: 403, body: { error: "unauthorized_client" } });
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
    const own = await asApp(refreshToken, more, { origin: PAGE });
    expect(own).toMatchObject({ status: 200, headers: { "access-control-allow-origin": PAGE, vary: "Origin" } });
  });

  it("are held to those of its link tokens, when every one has some", async () => {
    const make = plane.client(LinkTokenService);
    await plane.client(LinkService).createLink({ parent, linkId: "by-token", link: PLAIN_LINK });
    const byToken = `${parent}/links/by-token`;
    await make.createLinkToken({ parent: byToken, linkToken: { allowedOrigins: [PAGE] } });
    const more = { client_id: "by-token" };
    const ask = async (origin: string) => (await asApp((await logIn([byToken])).refreshToken, more, { origin })).status;
    expect([await ask(PAGE), await ask(FOREIGN)]).toEqual([200, 403]);
    await make.createLinkToken({ parent: byToken, linkToken: {} });
    expect(await ask(FOREIGN)).toBe(200);
  });

  it("read nothing of clients with a secret", async () => {
    const headers = { origin: FOREIGN, ...basic(backEnd.id, backEnd.secret) };
    const answer = await postForm(plane, TOKEN, { grant_type: "client_credentials", resource: link }, headers);
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

it("is what oauth4webapi calls for a public client", async () => {
  const options = { [oauth.customFetch]: routesAsFetch(plane) };
  const issuer = new URL(iss);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
  const as = await oauth.processDiscoveryResponse(issuer, found);
  const client: oauth.Client = { client_id: "weather" };
  const { refreshToken } = await logIn([link], "read");
  const sent = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), refreshToken, options);
  const tokens = await oauth.processRefreshTokenResponse(as, client, sent);
  expect(tokens).toMatchObject({ token_type: "bearer", expires_in: 900, scope: "read" });
  const next = tokens.refresh_token ?? "";
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), next, options));
  const again = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), next, options);
  const refusal = oauth.processRefreshTokenResponse(as, client, again);
  await expect(refusal).rejects.toMatchObject({ error: "invalid_grant", status: 400 });
});
