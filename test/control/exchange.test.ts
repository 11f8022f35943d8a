// RFC 8693: tokens of an issuer with a shared secret and of one with a JWKS become the project's own.
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { decodeJwt, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { type ControlPlane, failureOf, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import { basic, makeClient, type Parameters, postForm, routesAsFetch, type TestClient } from "./oauth-client.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";
const IDP = "https://idp.example/";
const JWKS_URL = "https://idp.example/jwks.json";
const SECRET = "v7Kq2mX9pL4wT8zR1nB6cY3hF5jD0sGa";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const JWT = "urn:ietf:params:oauth:token-type:jwt";

let plane: ControlPlane;
let backEnd: TestClient;
let signIdp: (claims: JWTPayload) => Promise<string>;

const shared = "projects/demo/links/shared";
const idpLink = "projects/demo/links/by-idp";
const both = "projects/demo/links/by-both";
const appOnly = "projects/demo/links/app-only";

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  await plane.makeProject("other");
  backEnd = await makeClient(plane, parent, "back-end");
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" }];
  plane.documents.set(JWKS_URL, JSON.stringify({ keys }));
  signIdp = (claims) => new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "k1" }).sign(privateKey);
  await makeIssuers();
  await makeLinks();
});
afterAll(() => plane[Symbol.asyncDispose]());

async function makeIssuers(): Promise<void> {
  await plane.client(SecretService).createSecret({ parent, secretId: "shared", secret: { value: SECRET } });
  const hs256 = { case: "hs256", value: { secret: "projects/demo/secrets/shared" } } as const;
  const issuers = plane.client(IssuerService);
  await issuers.createIssuer({ parent, issuerId: "shared", issuer: { iss: "https://app.example", keys: hs256 } });
  const jwksUrl = { case: "jwksUrl", value: JWKS_URL } as const;
  await issuers.createIssuer({ parent, issuerId: "idp", issuer: { iss: IDP, keys: jwksUrl } });
}

async function makeLinks(): Promise<void> {
  const issuer = (id: string) => `${parent}/issuers/${id}`;
  const make = (linkId: string, link: object) =>
    plane.client(LinkService).createLink({ parent, linkId, link: { ...PLAIN_LINK, ...link } });
  await make("shared", { issuers: [issuer("shared"), issuer("built-in")] });
  await make("by-idp", { issuers: [issuer("idp")], audiences: ["api"], requiredClaims: [] });
  await make("by-both", {
    issuers: [issuer("shared"), issuer("idp")],
    audiences: ["api"],
    requiredClaims: [{ path: "email", condition: { case: "present", value: true } }],
  });
  await make("app-only", {});
}

const nowS = () => Math.floor(plane.clock.now() / 1000);
const claims = (more: JWTPayload = {}): JWTPayload => ({
  ...{ iss: "https://app.example", sub: "user-1", iat: nowS(), exp: nowS() + 3600 },
  ...more,
});
const signShared = (more: JWTPayload = {}) =>
  new SignJWT(claims(more)).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(SECRET));

const exchange = (subjectToken: string, more: object = {}) =>
  plane.client(TokenService, backEnd.secret).exchangeToken({ parent, subjectToken, links: [shared], ...more });

/** So many who acted, one for the other. */
const nested = (actors: number): object => (actors === 0 ? { sub: "a" } : { sub: "a", act: nested(actors - 1) });

const wrongFields = async (call: Promise<unknown>) => (await failureOf(call)).fields;

describe("a token of an issuer that the link trusts", () => {
  it("becomes a short-lived one of the project, for the same person", async () => {
    const token = await signShared({ email: "a@b.example", roles: ["admin"], scope: "read write", tenant: { id: 7 } });
    const answer = await exchange(token);
    expect(answer).toMatchObject({ tokenType: "Bearer", expiresIn: 900n, scope: "read write" });
    expect(decodeJwt(answer.accessToken)).toEqual({
      ...{ iss, sub: "user-1", aud: [shared], client_id: "back-end", jti: answer.tokenId, iat: nowS() },
      ...{ exp: nowS() + 900, scope: "read write", roles: ["admin"], email: "a@b.example", tenant: { id: 7 } },
      ...{ act: { sub: "back-end" }, conduit_source: { issuer: `${parent}/issuers/shared`, iat: nowS() } },
    });
  });

  it("may be one of an identity provider, whose keys are fetched", async () => {
    const token = await signIdp(claims({ iss: IDP, aud: "api", azp: "spa", auth_time: 1, scp: ["read"] }));
    const payload = decodeJwt((await exchange(token, { links: [idpLink] })).accessToken);
    expect(payload).toMatchObject({ sub: "user-1", aud: [idpLink], scope: "read" });
    for (const name of ["azp", "auth_time", "scp"]) expect(payload).not.toHaveProperty(name);
  });

  it("leaves the issuer's fetched keys in memory, until the issuer is deleted", async () => {
    const issuers = plane.client(IssuerService);
    const keys = { case: "jwksUrl", value: JWKS_URL } as const;
    const { issuer } = await issuers.createIssuer({
      parent,
      issuerId: "brief",
      issuer: { iss: "https://brief", keys },
    });
    const link = { ...PLAIN_LINK, issuers: [`${parent}/issuers/brief`], audiences: ["api"] };
    await plane.client(LinkService).createLink({ parent, linkId: "brief-link", link });
    const brief = { links: [`${parent}/links/brief-link`] };
    await exchange(await signIdp(claims({ iss: "https://brief", aud: "api" })), brief);
    await plane.control.sweep();
    expect([...plane.jwksSources.issuerNames()]).toContain(issuer?.name);
    await plane.client(LinkService).deleteLink({ name: `${parent}/links/brief-link` });
    await issuers.deleteIssuer({ name: `${parent}/issuers/brief` });
    await plane.control.sweep();
    expect([...plane.jwksSources.issuerNames()]).not.toContain(issuer?.name);
  });

  it("carries on who acted before", async () => {
    const { accessToken } = await exchange(await signShared({ act: { sub: "first" } }));
    expect(decodeJwt(accessToken).act).toEqual({ sub: "back-end", act: { sub: "first" } });
  });

  it("keeps the session of our own, not another issuer's", async () => {
    const foreign = await exchange(await signShared({ sid: "theirs" }));
    expect(decodeJwt(foreign.accessToken)).not.toHaveProperty("sid");
    const again = await exchange(foreign.accessToken);
    expect(decodeJwt(again.accessToken)).toMatchObject({ sub: "user-1", act: { sub: "back-end" } });
  });
});

describe("an issuer's mapping", () => {
  const setMapping = (exchangeClaims: Record<string, string>) =>
    plane.client(IssuerService).updateIssuer({
      issuer: { name: `${parent}/issuers/idp`, exchangeClaims },
      updateMask: { paths: ["exchange_claims"] },
    });
  afterAll(() => setMapping({}));

  it("says which claims the new token gets, and from where", async () => {
    const { issuer } = await setMapping({
      roles: '["https://app.example/roles"]',
      tenant_id: "org.id",
      "https://app.example/plan": "plan",
      missing: "not.there",
    });
    expect(Object.keys(issuer?.exchangeClaims ?? {})).toHaveLength(4);
    const person = { "https://app.example/roles": ["admin"], org: { id: "o-1" }, plan: "pro", email: "a@b.example" };
    const token = await signIdp({ ...claims({ iss: IDP, aud: "api" }), ...person });
    const payload = decodeJwt((await exchange(token, { links: [idpLink] })).accessToken);
    expect(payload).toMatchObject({
      sub: "user-1",
      roles: ["admin"],
      tenant_id: "o-1",
      "https://app.example/plan": "pro",
    });
    for (const name of ["email", "org", "missing", "https://app.example/roles"])
      expect(payload).not.toHaveProperty(name);
  });

  it.each<[Record<string, string>, string]>([
    [{ sub: "email" }, 'issuer.exchange_claims["sub"]'],
    [{ exp: "x" }, 'issuer.exchange_claims["exp"]'],
    [{ constructor: "x" }, 'issuer.exchange_claims["constructor"]'],
    [{ plan: "a..b" }, 'issuer.exchange_claims["plan"]'],
  ])("%o is refused", async (mapping, field) => {
    expect(await wrongFields(setMapping(mapping))).toEqual([field]);
  });
});

describe("never longer", () => {
  it("the new token ends when the old one does, or before", async () => {
    const token = await signShared({ exp: nowS() + 100 });
    expect((await exchange(token)).expiresIn).toBe(100n);
    expect((await exchange(token, { lifetime: { seconds: 86_400n } })).expiresIn).toBe(100n);
    expect((await exchange(token, { lifetime: { seconds: 30n } })).expiresIn).toBe(30n);
  });

  it("an old token that only its leeway keeps alive is not exchanged", async () => {
    const call = exchange(await signShared({ exp: nowS() }));
    expect(await wrongFields(call)).toEqual(["subject_token"]);
  });
});

describe("never wider", () => {
  it("scopes are those of the old token or fewer", async () => {
    const token = await signShared({ scope: "read write" });
    expect((await exchange(token, { scope: "write" })).scope).toBe("write");
    expect(await wrongFields(exchange(token, { scope: "write admin" }))).toEqual(["scope"]);
    expect(await wrongFields(exchange(await signShared(), { scope: "read" }))).toEqual(["scope"]);
    expect(decodeJwt((await exchange(await signShared())).accessToken)).not.toHaveProperty("scope");
  });

  it.each<[string, () => Promise<string>, string]>([
    ["an issuer the link does not trust", () => signIdp(claims({ iss: IDP, aud: "api" })), shared],
    ["another audience", () => signIdp(claims({ iss: IDP, aud: "other" })), idpLink],
    ["a claim that the link requires and is not there", () => signShared({ aud: "api" }), both],
    ["a wrong signature", async () => `${(await signShared()).slice(0, -4)}AAAA`, shared],
    ["no signature", async () => `${(await signShared()).split(".").slice(0, 2).join(".")}.`, shared],
    ["an expired token", () => signShared({ exp: nowS() - 10 }), shared],
    ["a token without sub", () => signShared({ sub: undefined as unknown as string }), shared],
    ["a sub with control characters", () => signShared({ sub: "a\nb" }), shared],
    ["a token bound to a key", () => signShared({ cnf: { jkt: "x" } }), shared],
    ["a token for another actor", () => signShared({ may_act: { sub: "someone" } }), shared],
    ["a token for an actor elsewhere", () => signShared({ may_act: { sub: "back-end", iss: IDP } }), shared],
    ["a token with more actors than fit", () => signShared({ act: nested(14) }), shared],
    ["an ID token", () => signShared({ nonce: "n" }), shared],
    ["no JWT at all", async () => "x y", shared],
  ])("%s is refused, naming the subject token", async (_what, make, link) => {
    const failure = await failureOf(exchange(await make(), { links: [link] }));
    expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["subject_token"] });
  });

  it("a scope with a space in it does not become two", async () => {
    expect((await exchange(await signShared({ scp: ["read admin", "write"] }))).scope).toBe("write");
  });

  it("each of several links must accept the token", async () => {
    const token = await signShared({ aud: "api", email: "a@b.example" });
    expect(decodeJwt((await exchange(token, { links: [shared, both] })).accessToken).aud).toEqual([shared, both]);
    expect(await wrongFields(exchange(token, { links: [shared, idpLink] }))).toEqual(["subject_token"]);
    expect(await wrongFields(exchange(token, { links: [shared, appOnly] }))).toEqual(["links[1]"]);
    expect(await wrongFields(exchange(token, { links: [shared, `${parent}/links/none`] }))).toEqual(["links[1]"]);
  });

  it("a token for one link is not exchanged for one for another", async () => {
    const { accessToken } = await exchange(await signShared({ aud: "api", email: "a@b.example" }));
    expect(await wrongFields(exchange(accessToken, { links: [both] }))).toEqual(["subject_token"]);
  });

  it("may_act that names the client lets it act", async () => {
    for (const mayAct of [{ sub: "back-end" }, { sub: "back-end", iss }])
      expect((await exchange(await signShared({ may_act: mayAct }))).accessToken).toMatch(/^eyJ/);
  });
});

describe("at the token endpoint", () => {
  const ask = (parameters: Parameters) =>
    postForm(plane, "/p/demo/oauth/token", { grant_type: EXCHANGE, ...parameters }, basic(backEnd.id, backEnd.secret));
  const subject = async () => ({ subject_token: await signShared({ scope: "read" }), subject_token_type: JWT });

  it("answers as RFC 8693 2.2.1 has it", async () => {
    const answer = await ask({ ...(await subject()), audience: "shared" });
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store" } });
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(/^eyJ/),
      ...{ issued_token_type: ACCESS_TOKEN, token_type: "Bearer", expires_in: 900, scope: "read" },
    });
    const jwt = await ask({ ...(await subject()), audience: "shared", requested_token_type: JWT });
    expect(jwt.body).toMatchObject({ issued_token_type: JWT });
  });

  it.each<[string, Parameters, string]>([
    ["no subject token", { subject_token: "" }, "invalid_request"],
    ["no type of it", { subject_token_type: "" }, "invalid_request"],
    ["a type we do not know", { subject_token_type: "urn:ietf:params:oauth:token-type:saml2" }, "invalid_request"],
    ["another wish", { requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token" }, "invalid_request"],
    ["an actor token", { actor_token: "x", actor_token_type: JWT }, "invalid_request"],
    ["a token nobody trusts", { subject_token: "x" }, "invalid_request"],
    ["no link", { audience: "" }, "invalid_target"],
    ["a link that is not there", { audience: "none" }, "invalid_target"],
    ["a link without users", { audience: "app-only" }, "invalid_target"],
    ["more scope", { scope: "read write" }, "invalid_scope"],
  ])("%s is refused", async (_what, more, error) => {
    const answer = await ask({ ...(await subject()), audience: "shared", ...more });
    expect(answer).toMatchObject({ status: 400, headers: { "cache-control": "no-store" }, body: { error } });
  });

  it("says when keys cannot be fetched, and when to try again", async () => {
    await plane.client(IssuerService).createIssuer({
      parent,
      issuerId: "away",
      issuer: { iss: "https://away.example", keys: { case: "jwksUrl", value: "https://away.example/jwks" } },
    });
    const link = { ...PLAIN_LINK, issuers: [`${parent}/issuers/away`], anyAudience: true };
    await plane.client(LinkService).createLink({ parent, linkId: "away-link", link });
    const token = await signIdp(claims({ iss: "https://away.example" }));
    const answer = await ask({ subject_token: token, subject_token_type: JWT, audience: "away-link" });
    expect(answer).toMatchObject({ status: 503, body: { error: "temporarily_unavailable" } });
    expect(answer.headers["retry-after"]).toMatch(/^[1-9]/);
  });

  it("is understood by oauth4webapi", async () => {
    const options = { [oauth.customFetch]: routesAsFetch(plane) };
    const issuer = new URL(iss);
    const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
    const as = await oauth.processDiscoveryResponse(issuer, found);
    const client: oauth.Client = { client_id: backEnd.id };
    const authentication = oauth.ClientSecretPost(backEnd.secret);
    const parameters = { ...(await subject()), audience: "shared" };
    const sent = await oauth.genericTokenEndpointRequest(as, client, authentication, EXCHANGE, parameters, options);
    const token = await oauth.processGenericTokenEndpointResponse(as, client, sent);
    expect(token).toMatchObject({ token_type: "bearer", issued_token_type: ACCESS_TOKEN, scope: "read" });
  });
});

it("another project's key exchanges nothing", async () => {
  const stranger = await makeClient(plane, "projects/other", "stranger");
  const call = plane
    .client(TokenService, stranger.secret)
    .exchangeToken({ parent, subjectToken: await signShared(), links: [shared] });
  expect((await failureOf(call)).reason).toBe("RESOURCE_NOT_FOUND");
});

it("no subject token is in the log, the answers or the audit trail", async () => {
  const token = await signShared({ canary: "canary-77" });
  const { tokenId } = await exchange(token);
  await failureOf(exchange(`${token}x`));
  const records = await plane.store.read((reader) => reader.select().from(auditRecords));
  expect(records.filter(({ details }) => details.token_id === tokenId)).toMatchObject([
    { action: "TokenService.ExchangeToken", details: { subject: "user-1", links: shared } },
  ]);
  const trail = records.map(({ id: _id, ...record }) => JSON.stringify({ ...record, block: undefined }));
  const seen = [plane.logged(), plane.answered(), ...trail].join();
  expect(seen).not.toContain(token.split(".")[1]);
});
