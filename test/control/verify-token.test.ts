// TokenService.VerifyToken: the proxies' own verdict over the API.
import { toJsonString } from "@bufbuild/protobuf";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService, LinkTokenMode } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService, VerifyTokenResponseSchema } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type ControlPlane,
  failureOf,
  PLAIN_LINK,
  START_MS,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";

const parent = "projects/demo";
const VALUE = "Zk3-aVb9-qT71-xR5m-pL0c-wJ8e-hN2u-sY6d";
const ISS = "https://app.example";
const NOW_S = START_MS / 1000;

let plane: ControlPlane;
let project: TestProject;
let other: TestProject;
let link = "";
let linkToken = "";
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  other = await plane.makeProject("other");
  const { secret } = await plane.client(SecretService).createSecret({ parent, secret: { value: VALUE } });
  const hs256 = { case: "hs256", value: { secret: secret!.name } } as const;
  const { issuer } = await plane.client(IssuerService).createIssuer({ parent, issuer: { iss: ISS, keys: hs256 } });
  const made = await plane.client(LinkService).createLink({
    parent,
    link: {
      upstream: { baseUrl: "https://api.example/v1" },
      issuers: [issuer!.name, `${parent}/issuers/built-in`],
      requiredClaims: [{ path: "email" }],
      rules: [
        { path: "/admin/**", effect: 2, message: "Admin access required" },
        { path: "/users/{jwt.sub}/**", methods: ["GET"] },
        { path: "/me/**", rewrite: { prefix: "/me", replacement: "/users/{jwt.sub}" } },
      ],
    },
  });
  link = made.link!.name;
  const token = { allowedOrigins: ["https://app.example"], allowedAddresses: ["192.0.2.0/24"] };
  const { linkToken: it } = await plane.client(LinkTokenService).createLinkToken({ parent: link, linkToken: token });
  linkToken = it!.token;
}, 60_000);
afterAll(() => plane[Symbol.asyncDispose]());

const tokens = (credential = project.keys.viewer) => plane.client(TokenService, credential);
const sign = (claims: object = {}, secret = VALUE, options: jsonwebtoken.SignOptions = {}) =>
  jsonwebtoken.sign(
    { iss: ISS, sub: "user-1", email: "a@b.example", iat: NOW_S, exp: NOW_S + 300, ...claims },
    secret,
    options,
  );
const verify = (request: object) => tokens().verifyToken({ link, ...request });

describe("a token that is accepted", () => {
  it("says so, what it says of itself, and which stages were asked", async () => {
    const token = sign({ aud: ["a", "b"], scope: "read write", jti: "t-1", secretly: "not shown" });
    const answer = await verify({ token });
    expect(answer).toMatchObject({ accepted: true, code: "", stage: "", status: 0 });
    expect(answer.judgedStages).toEqual(["user-token", "revocation"]);
    expect(answer.token).toMatchObject({
      verified: true,
      algorithm: "HS256",
      type: "JWT",
      issuer: ISS,
      subject: "user-1",
      audiences: ["a", "b"],
      scopes: ["read", "write"],
      tokenId: "t-1",
      expireTime: { seconds: BigInt(NOW_S + 300) },
    });
    expect(answer.token?.claimNames).toContain("secretly");
    expect(toJsonString(VerifyTokenResponseSchema, answer)).not.toContain("not shown");
  });

  it("minted by the project itself too", async () => {
    const mint = { parent, subject: "user-1", links: [link], claims: { email: "a@b.example" } };
    const { accessToken } = await plane.client(TokenService).mintToken(mint);
    expect(await verify({ token: accessToken })).toMatchObject({ accepted: true, token: { algorithm: "ES256" } });
  });

  it.each([
    ["GET", "/users/user-1/x?y=1", 1, "/users/user-1/x"],
    ["HEAD", "/users/user-1", 1, "/users/user-1"],
    ["POST", "/me/orders", 2, "/users/user-1/orders"],
  ])("with %s %s: rule %i allows, %s is forwarded", async (method, path, ruleIndex, forwardedPath) => {
    const answer = await verify({ token: sign(), method, path });
    expect(answer).toMatchObject({ accepted: true, ruleIndex, forwardedPath });
    expect(answer.judgedStages.at(-1)).toBe("authorize");
  });
});

describe("a token that is refused: stage, code and reason are the proxy's", () => {
  const wrongSecret = "Qq9-other-secret-of-forty-characters-0123";
  it.each<[what: string, token: () => string, code: string, jwtError: string, more?: object]>([
    ["none", () => "", "token_missing", "Missing token"],
    ["nonsense", () => "nonsense", "token_malformed", "Malformed token"],
    ["expired", () => sign({ exp: NOW_S - 60 }), "token_expired", "Token expired"],
    ["too early", () => sign({ nbf: NOW_S + 600 }), "token_not_yet_valid", "Token not yet valid"],
    ["forged", () => sign({}, wrongSecret), "token_signature_invalid", "Invalid signature"],
    [
      "of another issuer",
      () => sign({ iss: "https://x" }),
      "token_issuer_unknown",
      "Invalid issuer",
      { seen: "https://x" },
    ],
    ["HS512", () => sign({}, VALUE, { algorithm: "HS512" }), "token_algorithm_refused", "Algorithm not allowed: HS512"],
    ["without a claim", () => sign({ email: undefined }), "token_claim_missing", "Missing required claim: email"],
    ["an ID token", () => sign({ nonce: "n" }), "token_type_mismatch", "Wrong token type"],
  ])("%s", async (_what, token, code, jwtError, more = {}) => {
    const answer = await verify({ token: token(), method: "GET", path: "/users/user-1/x" });
    expect(answer).toMatchObject({ accepted: false, stage: "user-token", status: 401, code, jwtError, ...more });
    expect(answer.judgedStages).toEqual(["user-token"]);
    expect(answer.token?.verified ?? false).toBe(false);
  });

  it.each([
    ["/admin/x", "rule_denied", "Admin access required"],
    ["/users/someone-else/x", "rule_denied", "No rule of this link allows this method and path for this user"],
    ["/users/..%2fadmin", "path_ambiguous", expect.stringContaining("more than one reading")],
  ])("for %s by the rules", async (path, code, detail) => {
    expect(await verify({ token: sign(), method: "GET", path })).toMatchObject({ stage: "authorize", code, detail });
  });

  it("by the link token and what it is bound to, when one is given", async () => {
    const at = { origin: "https://app.example", clientAddress: "192.0.2.7" };
    const codeOf = async (more: object) => (await verify({ token: sign(), linkToken, ...at, ...more })).code;
    expect(await codeOf({})).toBe("");
    expect(await codeOf({ origin: "https://evil.example" })).toBe("origin_denied");
    expect(await codeOf({ clientAddress: "198.51.100.1" })).toBe("address_denied");
    expect(await codeOf({ clientAddress: "" })).toBe("address_denied");
    expect(await verify({ token: sign(), linkToken: "cl_pub_x" })).toMatchObject({
      ...{ stage: "link-token", code: "link_token_invalid", judgedStages: ["link-token"] },
    });
  });

  it("by a revocation, in its own stage", async () => {
    const token = sign({ jti: "t-withdrawn" });
    expect((await verify({ token })).accepted).toBe(true);
    await plane.client(TokenService).revokeToken({ parent, target: { case: "tokenId", value: "t-withdrawn" } });
    const answer = await verify({ token, path: "/users/user-1/x" });
    expect(answer).toMatchObject({
      stage: "revocation",
      code: "token_revoked",
      jwtError: "Token revoked",
      status: 401,
    });
    expect(answer.judgedStages).toEqual(["user-token", "revocation"]);
    expect(answer.token?.verified).toBe(true);
  });

  it("by the link's state and modes", async () => {
    const links = plane.client(LinkService);
    const request = { upstream: { baseUrl: "https://api.example" }, rules: [{ path: "/**" }] };
    const { link: off } = await links.createLink({
      parent,
      link: { ...request, linkTokenMode: LinkTokenMode.REQUIRED },
    });
    const unread = await tokens().verifyToken({ link: off!.name, token: sign() });
    expect([unread.accepted, unread.detail]).toEqual([true, expect.stringContaining("user_token_mode is OFF")]);
    await links.disableLink({ name: off!.name });
    expect(await tokens().verifyToken({ link: off!.name, token: sign() })).toMatchObject({
      ...{ accepted: false, stage: "route", code: "link_disabled", status: 403 },
    });
  });
});

describe("keys behind a JWKS URL", () => {
  const url = "https://idp.example/jwks";
  let asymmetric = "";
  let sign256: (claims?: object) => Promise<string>;
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    plane.documents.set(url, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "RS256" }] }));
    sign256 = (claims = {}) =>
      new SignJWT({ iss: "https://idp.example", aud: "api", sub: "user-1", exp: NOW_S + 300, ...claims })
        .setProtectedHeader({ alg: "RS256", kid: "k1" })
        .sign(privateKey);
    const keys = { case: "jwksUrl", value: url } as const;
    const { issuer } = await plane
      .client(IssuerService)
      .createIssuer({ parent, issuer: { iss: "https://idp.example", keys } });
    const made = await plane.client(LinkService).createLink({
      parent,
      link: { ...PLAIN_LINK, issuers: [issuer!.name], audiences: ["api"] },
    });
    asymmetric = made.link!.name;
  });

  it("are fetched by the control plane, under the proxies' policy", async () => {
    const ask = async (token: string) => tokens().verifyToken({ link: asymmetric, token });
    expect(await ask(await sign256())).toMatchObject({ accepted: true, token: { keyId: "k1" } });
    expect(await ask(await sign256({ aud: "other" }))).toMatchObject({
      ...{ code: "token_audience_mismatch", jwtError: "Invalid audience", expected: "api", seen: "other" },
    });
    // Known keys serve while the issuer is away.
    plane.documents.delete(url);
    expect((await ask(await sign256())).accepted).toBe(true);
  });
});

describe("nothing leaks", () => {
  it("neither answer nor log holds the token, its signature or the secret", async () => {
    for (const token of [sign(), sign({ exp: NOW_S - 60 }), sign({}, "Qq9-other-secret-of-forty-characters-0123")]) {
      const text = toJsonString(VerifyTokenResponseSchema, await verify({ token, linkToken: "cl_pub_wrong" }));
      for (const part of [token, token.split(".")[2] ?? "", VALUE, linkToken]) {
        expect(text).not.toContain(part);
        expect(plane.logged()).not.toContain(part);
      }
    }
  });

  it("another project's key learns nothing of the link, a minter's key may not ask", async () => {
    const ask = (credential: string) => failureOf(tokens(credential).verifyToken({ link, token: sign() }));
    expect(await ask(other.keys.owner)).toMatchObject({ reason: "RESOURCE_NOT_FOUND" });
    expect(await ask(project.keys.minter)).toMatchObject({ reason: "PERMISSION_MISSING" });
    const foreign = link.replace("demo", "other");
    expect(await failureOf(tokens(other.keys.owner).verifyToken({ link: foreign, token: sign() }))).toMatchObject({
      reason: "RESOURCE_NOT_FOUND",
    });
  });

  it.each([
    ["path", { path: "no-slash" }],
    ["path", { path: "/a#b" }],
    ["path", { path: "/a b" }],
    ["method", { method: "get" }],
    ["client_address", { clientAddress: "nowhere" }],
  ])("a %s that could not be sent is refused", async (field, request) => {
    expect(await failureOf(verify({ token: sign(), ...request }))).toMatchObject({ fields: [field] });
  });

  it("a token that says absurd things of itself makes a small answer", async () => {
    const claims = { exp: 1e300, nbf: -1e18, iat: "x", sub: "s".repeat(2000), aud: Array(200).fill("a".repeat(9)) };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = `${part({ alg: "HS256", kid: "k".repeat(250) })}.${part({ iss: ISS, ...claims })}.AAAA`;
    const answer = await verify({ token });
    expect(answer).toMatchObject({
      code: "token_signature_invalid",
      token: { verified: false, audiences: { length: 32 } },
    });
    expect(answer.token?.expireTime ?? answer.token?.issueTime).toBeUndefined();
    expect(toJsonString(VerifyTokenResponseSchema, answer).length).toBeLessThan(2000);
  });
});
