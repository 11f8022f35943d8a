import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";
import { basic, makeClient, postForm, sendRaw, type TestClient } from "./oauth-client.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";
const INTROSPECT = "/p/demo/oauth/introspect";

let plane: ControlPlane;
let project: TestProject;
let link: string;
let backEnd: TestClient;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  await plane.makeProject("other");
  link = await makeLink(plane, parent, "weather");
  backEnd = await makeClient(plane, parent, "back-end");
});
afterAll(() => plane[Symbol.asyncDispose]());

const mint = async (more: object = {}) =>
  plane.client(TokenService, backEnd.secret).mintToken({ parent, subject: "user-1", links: [link], ...more });

const introspect = (token: string, client = backEnd) =>
  postForm(plane, INTROSPECT, { token }, basic(client.id, client.secret));

/** Another last signature character that decodes to other bytes. */
const forged = (token: string): string =>
  `${token.slice(0, -10)}${token.at(-10) === "A" ? "B" : "A"}${token.slice(-9)}`;

describe("a token that counts", () => {
  it("is described with everything it says (RFC 7662 2.2)", async () => {
    const { accessToken, tokenId } = await mint({
      scope: "read write",
      roles: ["admin"],
      claims: { email: "a@b.example", active: false, token_type: "x" },
    });
    const answer = await introspect(accessToken);
    const iat = plane.clock.now() / 1000;
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store", pragma: "no-cache" } });
    expect(answer.body).toEqual({
      active: true,
      token_type: "Bearer",
      ...{ iss, sub: "user-1", aud: [link], client_id: "back-end", jti: tokenId, iat, exp: iat + 900 },
      ...{ scope: "read write", roles: ["admin"], email: "a@b.example" },
    });
  });

  it("is described the same by the RPC", async () => {
    const { accessToken, tokenId } = await mint({ claims: { email: "a@b.example" } });
    const answer = await plane.client(TokenService, backEnd.secret).introspectToken({ parent, token: accessToken });
    const now = plane.clock.now();
    expect(answer).toMatchObject({
      ...{ active: true, issuer: iss, subject: "user-1", links: [link], clientId: "back-end", tokenId, sessionId: "" },
      ...{ issueTime: timestampFromMs(now), expireTime: timestampFromMs(now + 900_000) },
      claims: { email: "a@b.example" },
    });
  });
});

describe("a token that does not count is `active: false` and nothing else", () => {
  it.each<[string, () => Promise<string>]>([
    ["forged", async () => forged((await mint()).accessToken)],
    ["no JWT", async () => "x"],
    ["an API key", async () => project.keys.owner],
    ["a JWT with no signature", async () => `${(await mint()).accessToken.split(".").slice(0, 2).join(".")}.`],
    ["longer than any token", async () => "a".repeat(20_000)],
    [
      "another project's",
      async () => {
        const foreign = await makeLink(plane, "projects/other");
        const request = { parent: "projects/other", subject: "user-1", links: [foreign] };
        return (await plane.client(TokenService).mintToken(request)).accessToken;
      },
    ],
  ])("%s", async (_what, make) => {
    expect(await introspect(await make())).toMatchObject({ status: 200, body: { active: false } });
    const answer = await introspect(await make());
    expect(Object.keys(answer.body ?? {})).toEqual(["active"]);
  });

  it("expired, to the second", async () => {
    const { accessToken } = await mint({ lifetime: { seconds: 60n } });
    plane.clock.advance(59_999);
    expect((await introspect(accessToken)).body).toMatchObject({ active: true });
    plane.clock.advance(1);
    expect((await introspect(accessToken)).body).toEqual({ active: false });
  });
});

describe("who asks", () => {
  const basicText = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
  const refused = async (headers: Record<string, string>, more: Record<string, string> = {}) => {
    const answer = await postForm(plane, INTROSPECT, { token: (await mint()).accessToken, ...more }, headers);
    expect(answer.headers["cache-control"]).toBe("no-store");
    return [answer.status, answer.body?.error, answer.headers["www-authenticate"]];
  };
  const unknown = [401, "invalid_client", 'Basic realm="conduit", charset="UTF-8"'];

  it("authenticates by basic or in the body", async () => {
    const { accessToken: token } = await mint();
    const credentials = { client_id: backEnd.id, client_secret: backEnd.secret };
    expect((await postForm(plane, INTROSPECT, { token, ...credentials })).body).toMatchObject({ active: true });
    const headers = basic(backEnd.id, backEnd.secret);
    expect((await postForm(plane, INTROSPECT, { token, client_id: backEnd.id }, headers)).body).toMatchObject({
      active: true,
    });
  });

  it("is an operator's client, too", async () => {
    const operator = await makeClient(plane, "", "installation", Role.OPERATOR);
    expect((await introspect((await mint()).accessToken, operator)).body).toMatchObject({ active: true });
  });

  it("cannot be nobody, another project's, somebody else by name, or have no such key", async () => {
    const foreign = await makeClient(plane, "projects/other", "back-end");
    for (const headers of [
      {},
      basic(foreign.id, foreign.secret),
      basic("someone", backEnd.secret),
      basic(backEnd.id, `${backEnd.secret}x`),
      basicText(`${backEnd.id}:${backEnd.secret}:more`),
      { authorization: `Bearer ${backEnd.secret}` },
      { authorization: "Basic !" },
      { authorization: "Basic" },
      basicText("%:%"),
    ] as Record<string, string>[])
      expect(await refused(headers)).toEqual(unknown);
    expect(await refused({}, { client_id: backEnd.id })).toEqual(unknown);
    expect(await refused(basic(backEnd.id, backEnd.secret), { client_id: "someone" })).toEqual(unknown);
  });

  it("cannot authenticate twice (RFC 6749 2.3)", async () => {
    const twice = { client_id: backEnd.id, client_secret: backEnd.secret };
    expect(await refused(basic(backEnd.id, backEnd.secret), twice)).toEqual([400, "invalid_request", undefined]);
  });

  it("needs the role minter", async () => {
    const viewer = await makeClient(plane, parent, "viewer", Role.VIEWER);
    expect(await refused(basic(viewer.id, viewer.secret))).toEqual([400, "unauthorized_client", undefined]);
    const call = plane.client(TokenService, viewer.secret).introspectToken({ parent, token: "x" });
    expect((await failureOf(call)).reason).toBe("PERMISSION_MISSING");
  });

  it("is refused from the moment its key is deleted", async () => {
    const gone = await makeClient(plane, parent, "gone");
    await plane.client(ApiKeyService).deleteApiKey({ name: `${parent}/apiKeys/gone` });
    expect(await refused(basic(gone.id, gone.secret))).toEqual(unknown);
  });
});

describe("how it is asked", () => {
  const credentials = () => basic(backEnd.id, backEnd.secret);
  const FORM = { "content-type": "application/x-www-form-urlencoded" };

  it.each<[string, object, number]>([
    ["without a token", { body: "" }, 400],
    ["with an empty token", { body: "token=" }, 400],
    ["with a parameter twice", { body: "token=a&token=a" }, 400],
    ["with a form of another kind", { body: "{}", headers: { "content-type": "application/json" } }, 400],
    ["with GET", { method: "GET", body: "" }, 405],
  ])("%s it is invalid_request", async (_what, more, status) => {
    const headers = { ...credentials(), ...FORM, ...("headers" in more ? (more.headers as object) : {}) };
    const answer = await sendRaw(plane, INTROSPECT, { method: "POST", body: "", ...more, headers });
    expect(answer).toMatchObject({ status, body: { error: "invalid_request" } });
    if (status === 405) expect(answer?.headers.allow).toBe("POST");
  });

  it("never says what was sent", async () => {
    const answer = await postForm(plane, INTROSPECT, { token: "canary-1" }, basic("canary-2", "canary-3"));
    expect(JSON.stringify(answer)).not.toContain("canary");
    expect(plane.logged()).not.toContain("canary");
  });

  it("is asked at the issuer's own path only", async () => {
    for (const path of ["/oauth/introspect", "/p/demo/oauth/introspect/", "/p/demo/oauth/nothing", "/p/demo/oauth/"])
      expect(await sendRaw(plane, path, { method: "POST" })).toBeUndefined();
  });
});

describe("the metadata (RFC 8414)", () => {
  it("is one document at both places, with what there is and nothing else", async () => {
    const paths = ["/.well-known/oauth-authorization-server/p/demo", "/p/demo/.well-known/openid-configuration"];
    const [one, two] = await Promise.all(paths.map((path) => sendRaw(plane, path, {})));
    expect(one).toMatchObject({ status: 200, headers: { "cache-control": "public, max-age=300" } });
    expect(one?.body).toMatchObject({
      issuer: iss,
      jwks_uri: `${iss}/.well-known/jwks.json`,
      introspection_endpoint: `${iss}/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
      response_types_supported: [],
    });
    expect(one).toEqual(two);
    expect(one?.body).not.toHaveProperty("authorization_endpoint");
  });

  it("is there for projects only", async () => {
    for (const path of [
      "/.well-known/oauth-authorization-server",
      "/.well-known/oauth-authorization-server/p/nobody",
      "/p/nobody/.well-known/openid-configuration",
    ])
      expect(await sendRaw(plane, path, {})).toBeUndefined();
    expect(await sendRaw(plane, "/p/demo/.well-known/openid-configuration", { method: "POST" })).toBeUndefined();
  });
});
