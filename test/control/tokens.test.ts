import type { JsonObject } from "@bufbuild/protobuf";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RESERVED_CLAIMS } from "../../server/src/jwt/mint.ts";
import type { PlainAnswer } from "../../server/src/model/plain-http.ts";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import {
  type ControlPlane,
  failureOf,
  makeLink,
  PLAIN_LINK,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";

let plane: ControlPlane;
let project: TestProject;
let link: string;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  await plane.makeProject("other");
  link = await makeLink(plane, parent, "weather");
  await makeLink(plane, "projects/other", "foreign");
});
afterAll(() => plane[Symbol.asyncDispose]());

const tokens = (credential = project.keys.minter) => plane.client(TokenService, credential);
const mint = (more: object = {}) => tokens().mintToken({ parent, subject: "user-1", links: [link], ...more });

const fetchJwks = (
  path: string,
  method = "GET",
  headers: Record<string, string> = {},
): Promise<PlainAnswer | undefined> =>
  plane.control.jwksRoute({ clientAddress: "", method, path, header: (name) => headers[name], body: async () => "" });

const keySet = async (): Promise<JSONWebKeySet> =>
  JSON.parse(String((await fetchJwks("/p/demo/.well-known/jwks.json"))?.body)) as JSONWebKeySet;

describe("a minted token", () => {
  it("verifies with the published keys, and says what RFC 9068 asks for", async () => {
    const answer = await mint({ roles: ["admin", "editor"], scope: "read write", claims: { email: "a@b.example" } });
    const { payload, protectedHeader } = await jwtVerify(answer.accessToken, createLocalJWKSet(await keySet()), {
      issuer: iss,
      audience: link,
      typ: "at+jwt",
      algorithms: ["ES256"],
      currentDate: new Date(plane.clock.now()),
    });
    const iat = plane.clock.now() / 1000;
    expect(payload).toEqual({
      iss,
      sub: "user-1",
      aud: [link],
      client_id: expect.stringMatching(/^key-/),
      jti: answer.tokenId,
      iat,
      exp: iat + 900,
      scope: "read write",
      roles: ["admin", "editor"],
      email: "a@b.example",
    });
    expect(protectedHeader.kid).toBe((await keySet()).keys[0]!.kid);
    expect(answer).toMatchObject({ tokenType: "Bearer", expiresIn: 900n, expireTime: { seconds: BigInt(iat + 900) } });
  });

  it("lives as long as asked for, a day at most", async () => {
    expect((await mint({ lifetime: { seconds: 86_400n } })).expiresIn).toBe(86_400n);
    for (const seconds of [0n, 86_401n, -1n])
      expect((await failureOf(mint({ lifetime: { seconds } }))).fields).toEqual(["lifetime"]);
  });

  it("fits into a header line of 8 KiB, to the byte; the refusal says size and limit", async () => {
    const lineOf = (token: string) => "Authorization: Bearer ".length + token.length;
    const fill = (length: number) => ({ claims: { text: "x".repeat(length) } });
    let length = 5_650;
    while (lineOf((await mint(fill(length))).accessToken) < 8_190) length += 3;
    const failure = await failureOf(mint(fill(length + 3)));
    expect(failure.fields).toEqual(["claims"]);
    expect(failure.message).toMatch(/header line would be 819[3-9] bytes long and may be 8192/);
  });

  it("fits into the cookie of a link that takes one from there", async () => {
    const cookieLink = { ...PLAIN_LINK, issuers: [`${parent}/issuers/built-in`], userTokenCookie: "session" };
    await plane.client(LinkService).createLink({ parent, linkId: "with-cookie", link: cookieLink });
    const links = ["projects/demo/links/with-cookie"];
    expect((await mint({ links })).accessToken).toMatch(/^eyJ/);
    const claims = { text: "x".repeat(3_000) };
    const failure = await failureOf(mint({ links, claims }));
    expect(failure.fields).toEqual(["claims"]);
    expect(failure.message).toMatch(
      /cookie for projects.demo.links.with-cookie would be \d{4} bytes long and may be 4096/,
    );
    expect((await mint({ claims })).accessToken).toMatch(/^eyJ/);
  });

  it("has an id of its own, also on a retry", async () => {
    expect((await mint()).tokenId).not.toBe((await mint()).tokenId);
  });

  it.each(RESERVED_CLAIMS)("cannot be given the claim %s", async (name) => {
    const failure = await failureOf(mint({ claims: { [name]: "x" } }));
    expect(failure).toMatchObject({ reason: "FIELD_INVALID", fields: [`claims.${name}`] });
  });

  it.each<[string, JsonObject]>([
    ["prototype names", JSON.parse('{"a":{"constructor":1}}') as JsonObject],
    ["depth", JSON.parse(`${'{"a":'.repeat(20)}1${"}".repeat(20)}`) as JsonObject],
    ["no number", { list: [Number.NaN] }],
    ["infinity", { limit: Number.POSITIVE_INFINITY }],
    ["more than 8 KiB", { text: "x".repeat(8192) }],
  ])("cannot be given claims of %s, which the proxies would refuse", async (_what, claims) => {
    expect((await failureOf(mint({ claims }))).fields).toEqual(["claims"]);
  });

  it.each<[string, object]>([
    ["subject", { subject: "" }],
    ["subject", { subject: "a\nb" }],
    ["links", { links: [] }],
    ["links[0]", { links: ["weather"] }],
    ["links[1]", { links: ["projects/demo/links/weather", "projects/demo/links/none"] }],
    ["links[0]", { links: ["projects/other/links/foreign"] }],
    ["scope", { scope: "a  b" }],
    ["roles[0]", { roles: [""] }],
  ])("needs a right %s", async (field, more) => {
    expect(new Set((await failureOf(mint(more))).fields)).toEqual(new Set([field]));
  });

  it("is not minted by a viewer", async () => {
    const call = tokens(project.keys.viewer).mintToken({ parent, subject: "u", links: [link] });
    expect((await failureOf(call)).code).toBe("PermissionDenied");
  });
});

describe("a batch", () => {
  const batch = (...requests: object[]) =>
    tokens().batchMintTokens({
      parent,
      requests: requests.map((more) => ({ parent, subject: "user-1", links: [link], ...more })),
    });

  it("mints each token in its order, with an id and an audit record of its own", async () => {
    const { tokens: minted } = await batch({ subject: "a" }, { subject: "b", lifetime: { seconds: 60n } });
    expect(minted.map(({ accessToken }) => decodeJwt(accessToken).sub)).toEqual(["a", "b"]);
    expect(minted.map(({ expiresIn }) => expiresIn)).toEqual([900n, 60n]);
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    for (const { tokenId } of minted)
      expect(records.filter(({ details }) => details.token_id === tokenId)).toHaveLength(1);
  });

  it.each<[string, object]>([
    ["requests[1].links[0]", { links: ["projects/demo/links/none"] }],
    ["requests[1].subject", { subject: "" }],
    ["requests[1].claims.iss", { claims: { iss: "x" } }],
    ["requests[1].claims", { claims: { text: "x".repeat(8192) } }],
    ["requests[1].parent", { parent: "projects/other", links: ["projects/other/links/foreign"] }],
  ])("mints nothing when %s is wrong", async (field, more) => {
    expect((await failureOf(batch({ subject: "all-or-none" }, more))).fields).toContain(field);
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    expect(records.filter(({ details }) => details.subject === "all-or-none")).toEqual([]);
  });

  it("holds 1-100 tokens", async () => {
    expect((await batch(...Array.from({ length: 100 }, () => ({})))).tokens).toHaveLength(100);
    for (const length of [0, 101])
      expect((await failureOf(batch(...Array.from({ length }, () => ({}))))).fields).toEqual(["requests"]);
  });
});

describe("the key set", () => {
  it("holds public members only, each with kid, alg and use", async () => {
    const { keys } = await keySet();
    expect(keys).toHaveLength(1);
    expect(Object.keys(keys[0]!).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
    expect(decodeProtectedHeader((await mint()).accessToken).kid).toBe(keys[0]!.kid);
  });

  it("may be cached for five minutes, and is asked for again by its etag", async () => {
    const answer = await fetchJwks("/p/demo/.well-known/jwks.json");
    expect(answer).toMatchObject({
      status: 200,
      headers: { "cache-control": "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400" },
    });
    const { etag } = answer!.headers;
    const again = await fetchJwks("/p/demo/.well-known/jwks.json", "GET", { "if-none-match": `"x", W/${etag}` });
    expect(again).toMatchObject({ status: 304, body: "", headers: { etag } });
    expect(await fetchJwks("/p/demo/.well-known/jwks.json", "HEAD")).toMatchObject({ status: 200, body: "" });
  });

  it("is there for projects only", async () => {
    for (const path of [
      "/p/nobody/.well-known/jwks.json",
      "/p/demo/.well-known/jwks.json/",
      "/p//.well-known/jwks.json",
    ])
      expect(await fetchJwks(path)).toBeUndefined();
    expect(await fetchJwks("/p/demo/.well-known/jwks.json", "POST")).toBeUndefined();
  });

  it("is another for each project", async () => {
    const other = await fetchJwks("/p/other/.well-known/jwks.json");
    expect(other!.body).not.toBe((await fetchJwks("/p/demo/.well-known/jwks.json"))!.body);
  });
});

describe("the built-in issuer", () => {
  it("cannot be made a second time", async () => {
    const issuers = plane.client(IssuerService, project.keys.owner);
    const call = issuers.createIssuer({
      parent,
      issuerId: "built-in",
      issuer: { keys: { case: "jwksUrl", value: "https://a.example" } },
    });
    expect((await failureOf(call)).code).toBe("AlreadyExists");
  });
});

describe("the audit trail", () => {
  it("has one record per minted token, with its id and never the token", async () => {
    const { tokenId, accessToken } = await mint({ subject: "audited" });
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    const own = records.filter(({ details }) => details.token_id === tokenId);
    expect(own).toMatchObject([
      {
        project: "demo",
        action: "TokenService.MintToken",
        resource: parent,
        details: { subject: "audited", links: link },
      },
    ]);
    expect(JSON.stringify(records, (_name, value) => (typeof value === "bigint" ? `${value}` : value))).not.toContain(
      accessToken.slice(-20),
    );
  });

  it("has none of a mint that was refused", async () => {
    await failureOf(mint({ subject: "refused", links: ["projects/demo/links/none"] }));
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    expect(records.filter(({ details }) => details.subject === "refused")).toEqual([]);
  });
});
