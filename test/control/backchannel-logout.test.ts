// OpenID Connect Back-Channel Logout 1.0: an identity provider signs people out; what was exchanged goes too.
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { SigningKeyService } from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { type ControlPlane, failureOf, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import { postForm, sendRaw } from "./oauth-client.ts";

const parent = "projects/demo";
const IDP = "https://idp.example/";
const JWKS_URL = "https://idp.example/jwks.json";
const CLIENT = "our-app";
const EVENTS = { "http://schemas.openid.net/event/backchannel-logout": {} };
const issuer = `${parent}/issuers/idp`;
const link = `${parent}/links/weather`;
const LOGOUT = "/p/demo/issuers/idp/backchannel-logout";

let plane: ControlPlane;
let signWith: (claims: JWTPayload, header?: Partial<JWTHeaderParameters>) => Promise<string>;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  plane.documents.set(
    JWKS_URL,
    JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" }] }),
  );
  signWith = (claims, header = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "k1", ...header }).sign(privateKey);
  const issuers = plane.client(IssuerService);
  const keys = { case: "jwksUrl", value: JWKS_URL } as const;
  await issuers.createIssuer({ parent, issuerId: "idp", issuer: { iss: IDP, keys, logoutClientIds: [CLIENT] } });
  await issuers.createIssuer({ parent, issuerId: "silent", issuer: { iss: "https://silent", keys } });
  const trusted = { issuers: [issuer, `${parent}/issuers/silent`, `${parent}/issuers/built-in`], audiences: ["api"] };
  await plane.client(LinkService).createLink({ parent, linkId: "weather", link: { ...PLAIN_LINK, ...trusted } });
});
afterAll(() => plane[Symbol.asyncDispose]());

const nowS = () => Math.floor(plane.clock.now() / 1000);
let used = 0;
const logoutClaims = (more: JWTPayload = {}): JWTPayload => ({
  ...{ iss: IDP, aud: CLIENT, iat: nowS(), exp: nowS() + 120, jti: `logout-${used++}`, events: EVENTS },
  ...more,
});
const logOut = async (claims: JWTPayload, header: Partial<JWTHeaderParameters> = { typ: "logout+jwt" }) =>
  postForm(plane, LOGOUT, { logout_token: await signWith(claims, header) });

/** An access token of the identity provider. */
const access = (more: JWTPayload = {}) =>
  signWith({ ...{ iss: IDP, aud: "api", iat: nowS(), exp: nowS() + 3600 }, ...more });
const exchange = async (subjectToken: string) =>
  (await plane.client(TokenService).exchangeToken({ parent, subjectToken, links: [link] })).accessToken;
const isAccepted = async (token: string) => {
  const answer = await plane.client(TokenService).verifyToken({ link, token });
  if (!answer.accepted) expect(answer.code).toBe("token_revoked");
  return answer.accepted;
};
const accepted = (...tokens: string[]) => Promise.all(tokens.map(isAccepted));

describe("a log-out token", () => {
  it("with sub ends all that the person holds of this issuer, exchanged tokens too, and nothing of another's", async () => {
    const own = await access({ sub: "ada", sid: "s1" });
    const other = await access({ sub: "bob" });
    const elsewhere = await access({ iss: "https://silent", sub: "ada" });
    const [ownNew, elsewhereNew] = [await exchange(own), await exchange(elsewhere)];
    const again = await exchange(ownNew);
    expect(await accepted(own, ownNew, again, other, elsewhere, elsewhereNew)).toEqual(Array(6).fill(true));
    const answer = await logOut(logoutClaims({ sub: "ada" }));
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store" }, body: undefined });
    expect(await accepted(own, ownNew, again, other, elsewhere, elsewhereNew)).toEqual([
      ...[false, false, false],
      ...[true, true, true],
    ]);
    expect((await plane.client(TokenService).introspectToken({ parent, token: again })).active).toBe(false);
    plane.clock.advance(1_000);
    expect(await isAccepted(await exchange(await access({ sub: "ada" })))).toBe(true);
  });

  it("with sid ends that session of this issuer alone", async () => {
    const [first, second] = [await access({ sub: "cleo", sid: "c1" }), await access({ sub: "cleo", sid: "c2" })];
    const elsewhere = await access({ iss: "https://silent", sub: "cleo", sid: "c1" });
    const exchanged = [await exchange(first), await exchange(second)];
    await logOut(logoutClaims({ sub: "cleo", sid: "c1" }));
    expect(await accepted(first, second, elsewhere, ...exchanged)).toEqual([false, true, true, false, true]);
  });

  it("counts once, also at another moment", async () => {
    const claims = logoutClaims({ sub: "dora" });
    expect((await logOut(claims)).status).toBe(200);
    plane.clock.advance(2_000);
    const fresh = await access({ sub: "dora" });
    expect(await logOut(claims)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect(await isAccepted(fresh)).toBe(true);
  });

  it("leaves an audit record of the issuer", async () => {
    const { headers } = await logOut(logoutClaims({ sub: "emil" }));
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    expect(records.filter(({ requestId }) => requestId === headers["x-request-id"])).toMatchObject([
      { project: "demo", actor: issuer, action: "RevocationService.CreateRevocation", clientAddress: "203.0.113.7" },
    ]);
  });

  it.each<[string, Record<string, unknown>, Partial<JWTHeaderParameters>?]>([
    ["without the event", { events: {} }],
    ["whose event is no object", { events: { "http://schemas.openid.net/event/backchannel-logout": true } }],
    ["with a nonce", { nonce: "n" }],
    ["for another client", { aud: "other-app" }],
    ["for the API", { aud: "api" }],
    ["of another issuer", { iss: "https://silent" }],
    ["without jti", { jti: undefined }],
    ["without iat", { iat: undefined }],
    ["with neither sub nor sid", { sub: undefined }],
    ["with an empty sid", { sid: "" }],
    ["that has expired", { exp: 1 }],
    ["that is old, whatever its exp", { iat: 1_600_000_000, exp: 4_000_000_000 }],
    ["of another type", {}, { typ: "at+jwt" }],
    ["without a type", {}, {}],
  ])("%s is refused, and nothing happens", async (_what, wrong, header) => {
    const token = await access({ sub: "fred" });
    const answer = await logOut({ ...logoutClaims({ sub: "fred" }), ...wrong }, header);
    expect(answer).toMatchObject({ status: 400, headers: { "cache-control": "no-store" } });
    expect(answer.body).toEqual({ error: "invalid_request", error_description: expect.any(String) });
    expect(await isAccepted(token)).toBe(true);
  });

  it("signed by nobody we know is refused", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const header = { alg: "ES256", kid: "k1", typ: "logout+jwt" };
    const forged = await new SignJWT(logoutClaims({ sub: "ada" })).setProtectedHeader(header).sign(privateKey);
    expect(await postForm(plane, LOGOUT, { logout_token: forged })).toMatchObject({ status: 400 });
  });
});

describe("the endpoint", () => {
  it("is there for issuers with logout_client_ids alone", async () => {
    const body = new URLSearchParams({ logout_token: "x" }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const post = (path: string) => sendRaw(plane, path, { method: "POST", headers, body });
    for (const id of ["silent", "built-in", "none"])
      expect(await post(`/p/demo/issuers/${id}/backchannel-logout`)).toBeUndefined();
    expect(await post("/p/none/issuers/idp/backchannel-logout")).toBeUndefined();
    expect(await post(LOGOUT)).toMatchObject({ status: 400 });
    expect(await sendRaw(plane, LOGOUT, { method: "GET" })).toMatchObject({ status: 405, headers: { allow: "POST" } });
  });

  it("is not for the built-in issuer", async () => {
    const name = `${parent}/issuers/built-in`;
    const change = { issuer: { name, logoutClientIds: ["x"] }, updateMask: { paths: ["logout_client_ids"] } };
    const { fields } = await failureOf(plane.client(IssuerService).updateIssuer(change));
    expect(fields).toEqual(["issuer.logout_client_ids"]);
  });
});

describe("a token that was exchanged", () => {
  it.each([
    ["jti", { case: "tokenId", value: "t1" }],
    ["session, whoever's", { case: "sessionId", value: "s9" }],
    ["session of the issuer", { case: "session", value: { sessionId: "s9", issuer } }],
    ["subject at the issuer", { case: "subject", value: { subject: "gina", issuer } }],
    ["key", { case: "key", value: { issuer, kid: "k1" } }],
    ["issuer", { case: "issuer", value: { issuer } }],
  ] as const)("goes when the one before is withdrawn by its %s", async (_what, target) => {
    const exchanged = await exchange(await access({ sub: "gina", jti: "t1", sid: "s9" }));
    const { revocation } = await plane.client(RevocationService).createRevocation({ parent, revocation: { target } });
    expect(revocation?.target.case).toBe(target.case);
    expect(await isAccepted(exchanged)).toBe(false);
    await plane.client(RevocationService).deleteRevocation({ name: revocation?.name ?? "" });
    expect(await isAccepted(exchanged)).toBe(true);
  });

  it("goes by when the one before was issued, not by its own time", async () => {
    const before = await access({ sub: "hugo" });
    plane.clock.advance(60_000);
    const exchanged = await exchange(before);
    const issuedBefore = { seconds: BigInt(nowS() - 30), nanos: 0 };
    const target = { case: "subject", value: { subject: "hugo", issuer, issuedBefore } } as const;
    await plane.client(RevocationService).createRevocation({ parent, revocation: { target } });
    expect(await isAccepted(exchanged)).toBe(false);
  });

  it("of our own goes with the one before, also over several exchanges", async () => {
    const rpc = plane.client(TokenService);
    const { accessToken } = await rpc.mintToken({ parent, subject: "jill", links: [link] });
    const second = await exchange(accessToken);
    const third = await exchange(second);
    const fromElsewhere = await exchange(await exchange(await access({ sub: "jill", jti: "t3" })));
    expect(await accepted(accessToken, second, third, fromElsewhere)).toEqual([true, true, true, true]);
    await rpc.revokeToken({ parent, target: { case: "token", value: second } });
    expect(await accepted(accessToken, second, third)).toEqual([true, false, false]);
    await rpc.revokeToken({ parent, target: { case: "token", value: accessToken } });
    expect(await accepted(accessToken, await exchange(fromElsewhere))).toEqual([false, true]);
    expect((await rpc.introspectToken({ parent, token: third })).active).toBe(false);
    await rpc.revokeToken({ parent, target: { case: "tokenId", value: "t3" } });
    expect(await isAccepted(fromElsewhere)).toBe(false);
  });

  it("of our own goes with the key of the one before, though another has signed it", async () => {
    const { accessToken } = await plane.client(TokenService).mintToken({ parent, subject: "karl", links: [link] });
    const keys = plane.client(SigningKeyService);
    await keys.rotateSigningKey({ parent, force: true });
    const exchanged = await exchange(await exchange(accessToken));
    const { kid } = decodeProtectedHeader(accessToken);
    await keys.revokeSigningKey({ name: `${parent}/signingKeys/${kid}`, force: true });
    expect(await accepted(exchanged)).toEqual([false]);
    expect(await isAccepted(await exchange(await access({ sub: "karl" })))).toBe(true);
  });

  it("says what it was made from, which no caller may set", async () => {
    const exchanged = await exchange(await access({ sub: "ida", jti: "t2", sid: "s2" }));
    expect(decodeJwt(exchanged).conduit_source).toEqual({ issuer, iat: nowS(), jti: "t2", sid: "s2", kid: "k1" });
    const forged = { parent, subject: "x", links: [link], claims: { conduit_source: { issuer } } };
    expect((await failureOf(plane.client(TokenService).mintToken(forged))).fields).toEqual(["claims.conduit_source"]);
  });
});
