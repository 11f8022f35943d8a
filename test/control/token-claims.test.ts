// Templates of claims per link: what they stand for is scored on the tokens as they were signed.

import type { JsonObject } from "@bufbuild/protobuf";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { decodeJwt } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
let parent: string;
let made = 0;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("templates");
  parent = project.name;
});
afterAll(() => plane[Symbol.asyncDispose]());

const links = () => plane.client(LinkService, project.keys.editor);
const tokens = () => plane.client(TokenService, project.keys.minter);
const setTemplate = (name: string, tokenClaims: JsonObject) =>
  links().updateLink({ link: { name, tokenClaims }, updateMask: { paths: ["token_claims"] } });
/** A link whose tokens carry these. */
async function newLink(tokenClaims: JsonObject): Promise<string> {
  made += 1;
  const name = await makeLink(plane, parent, `template-${made}`);
  await setTemplate(name, tokenClaims);
  return name;
}
async function minted(named: string | readonly string[], request: object = {}): Promise<Record<string, unknown>> {
  const wanted = { parent, subject: "user-7", links: [named].flat(), ...request };
  return decodeJwt((await tokens().mintToken(wanted)).accessToken);
}

describe("a link's template", () => {
  it("adds what it says, with the claims it names, to the tokens minted for the link", async () => {
    const link = await newLink({
      ...{ plan: "pro", level: 3, flags: [true, "{jwt.missing}", "x-{jwt.sub}"] },
      ...{ ref: "user-{jwt.sub}/{jwt.org.id}", org: "{jwt.org}", nothing: "{jwt.absent}", no: "a {jwt.org}" },
      ...{ "https://app.example/t": '{jwt["https://idp.example/tenant"]}', deep: { of: "{jwt.scope}" }, braces: "{a}" },
    });
    const claims = { org: { id: 9 }, "https://idp.example/tenant": "t1", kept: true };
    expect(await minted(link, { claims, scope: "read write" })).toMatchObject({
      ...{ sub: "user-7", kept: true, plan: "pro", level: 3, flags: [true, "x-user-7"] },
      ...{
        ref: "user-user-7/9",
        org: { id: 9 },
        "https://app.example/t": "t1",
        deep: { of: "read write" },
        braces: "{a}",
      },
    });
    const names = Object.keys(await minted(link, { claims }));
    expect(names).not.toContain("nothing");
    expect(names).not.toContain("no");
  });

  it("wins over what is asked for, and may say the roles", async () => {
    const link = await newLink({ tenant: "fixed", roles: ["{jwt.group}", "member"] });
    const asked = { claims: { tenant: "mine", group: "staff" }, roles: ["admin"] };
    expect(await minted(link, asked)).toMatchObject({ tenant: "fixed", roles: ["staff", "member"] });
  });

  it("is that of each link a token is for, unless two say different things", async () => {
    const [one, two, three] = [
      await newLink({ a: 1, same: "{jwt.sub}" }),
      await newLink({ b: 2, same: "{jwt.sub}" }),
      await newLink({ a: 3 }),
    ];
    expect(await minted([one, two])).toMatchObject({ a: 1, b: 2, same: "user-7" });
    const failure = await failureOf(minted([one, two, three]));
    expect(failure).toMatchObject({ reason: "FIELD_INVALID", fields: ["links"] });
    const requests = [{ parent, subject: "u", links: [one, three] }];
    expect((await failureOf(tokens().batchMintTokens({ parent, requests }))).fields).toEqual(["requests[0].links"]);
  });

  it("is applied anew with each refresh, as it is then", async () => {
    const link = await newLink({ plan: "old", who: "{jwt.email}" });
    const wanted = { parent, subject: "user-7", links: [link], claims: { email: "a@b.example" }, session: {} };
    const { refreshToken } = await tokens().mintToken(wanted);
    await setTemplate(link, { plan: "new", who: "{jwt.email}" });
    const { accessToken } = await plane.client(TokenService, null).refreshToken({ refreshToken });
    expect(decodeJwt(accessToken)).toMatchObject({ plan: "new", who: "a@b.example", email: "a@b.example" });
  });

  it("never keeps a session from being refreshed", async () => {
    const [one, two] = [await newLink({ a: 1 }), await newLink({ b: 1 })];
    let nested: JsonObject = { end: 1 };
    for (let depth = 0; depth < 10; depth += 1) nested = { nested };
    const wanted = { parent, subject: "user-7", links: [one, two], claims: { nested }, session: {} };
    const opened = await tokens().mintToken(wanted);
    await setTemplate(two, { a: 2 });
    const refresh = (refreshToken: string) => plane.client(TokenService, null).refreshToken({ refreshToken });
    const next = await refresh(opened.refreshToken);
    expect(decodeJwt(next.accessToken).a).toBe(1);
    await setTemplate(two, { c: { d: { e: { f: { g: { h: "{jwt.nested}" } } } } } });
    const last = decodeJwt((await refresh(next.refreshToken)).accessToken);
    expect([last.nested, last.a]).toEqual([nested, undefined]);
  });

  it("reads the claims of the token that is exchanged, also those that are not carried over", async () => {
    const link = await newLink({ tenant: "{jwt.org.id}", from: "{jwt.iss}" });
    const value = "an HMAC secret of more than thirty-two bytes: q8Zr1";
    const owner = project.keys.owner;
    const { secret } = await plane.client(SecretService, owner).createSecret({ parent, secret: { value } });
    const keys = { case: "hs256" as const, value: { secret: secret!.name } };
    const exchangeClaims = { mail: "email" };
    const wanted = { parent, issuer: { iss: "https://idp.example", keys, exchangeClaims } };
    const { issuer } = await plane.client(IssuerService, owner).createIssuer(wanted);
    await links().updateLink({ link: { name: link, issuers: [issuer!.name] } });
    const iat = Math.floor(plane.clock.now() / 1000);
    const claims = {
      sub: "u-1",
      iss: "https://idp.example",
      iat,
      exp: iat + 600,
      org: { id: "o1" },
      email: "a@b.example",
    };
    const subjectToken = jsonwebtoken.sign(claims, value);
    const { accessToken } = await tokens().exchangeToken({ parent, subjectToken, links: [link] });
    const payload = decodeJwt(accessToken);
    expect(payload).toMatchObject({ sub: "u-1", mail: "a@b.example", tenant: "o1", from: "https://idp.example" });
    expect(Object.keys(payload)).not.toContain("org");
  });

  it("that makes a token too long for a header is refused at mint with size and limit", async () => {
    const link = await newLink({ copy: "{jwt.big}", twice: "{jwt.big}" });
    const failure = await failureOf(minted(link, { claims: { big: "x".repeat(2_500) } }));
    expect(failure.fields).toEqual(["claims"]);
    expect(failure.message).toMatch(/bytes long and may be 8192/);
  });

  it("that nests a claim deeper than the proxies read is refused at mint", async () => {
    let nested: JsonObject = { end: 1 };
    for (let depth = 0; depth < 10; depth += 1) nested = { nested };
    const link = await newLink({ a: { b: { c: { d: { e: { f: "{jwt.nested}" } } } } } });
    expect((await failureOf(minted(link, { claims: { nested } }))).fields).toEqual(["claims"]);
  });
});

describe("a template is refused when it is written", () => {
  it.each<[string, JsonObject]>([
    ["the token's own claims", { sub: "{jwt.email}" }],
    ["what makes it an ID token", { nonce: "x" }],
    ["a claim path that is none", { a: "{jwt..b}" }],
    ["a placeholder that does not end", { a: "x {jwt.sub" }],
    ["a placeholder without a path", { a: "{jwt}" }],
    ["prototype names", { a: { constructor: 1 } }],
    ["NUL characters", { a: "\u0000" }],
    ["too much", { a: "x".repeat(4_100) }],
    ["too many claims", { a: Array.from({ length: 33 }, () => "{jwt.sub}") }],
  ])("with %s", async (_what, tokenClaims) => {
    made += 1;
    const name = await makeLink(plane, parent, `template-${made}`);
    expect((await failureOf(setTemplate(name, tokenClaims))).fields).toEqual(["link.token_claims"]);
    const link = { upstream: { baseUrl: "https://api.example" }, rules: [{ path: "/**" }], tokenClaims };
    expect((await failureOf(links().createLink({ parent, link }))).fields).toEqual(["link.token_claims"]);
  });
});

it("a template is read back as written, and no proxy gets it", async () => {
  const tokenClaims = { z: "{jwt.sub}", a: { list: [1, "two", null] }, canary: "canary-5d1c" };
  const name = await newLink(tokenClaims);
  expect((await links().getLink({ name })).link?.tokenClaims).toEqual(tokenClaims);
  const all = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 10_000));
  const payload = all.find((it) => it.name === name)?.payload ?? new Uint8Array();
  expect(Buffer.from(payload).toString("latin1")).not.toContain("canary-5d1c");
  await setTemplate(name, {});
  expect((await links().getLink({ name })).link?.tokenClaims).toBeUndefined();
});
