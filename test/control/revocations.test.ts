import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { revocationStreamName } from "../../server/src/model/revocation.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

const parent = "projects/demo";
const builtIn = "projects/demo/issuers/built-in";
const DAY_MS = 86_400_000;

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

const revocations = (credential = project.keys.editor) => plane.client(RevocationService, credential);
const tokens = () => plane.client(TokenService, project.keys.minter);
const revoke = (revocation: object, more: object = {}) =>
  revocations().createRevocation({ parent, revocation: revocation as never, ...more });
const mint = (subject = "user-1") => tokens().mintToken({ parent, subject, links: [link] });

/** The revocations that the proxies hold, by name in the stream. */
async function streamed() {
  const resources = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 5_000));
  const held = resources.filter(({ kind }) => kind === "revocation");
  return new Map(held.map(({ name, payload }) => [name, decodeConfigResource("revocation", payload)]));
}
const holds = async (name: string) => (await streamed()).has(revocationStreamName(name));

const byToken = (value: string) => ({ target: { case: "tokenId", value } });
const bySubject = (subject: string, more: object = {}) => ({
  target: { case: "subject", value: { subject, ...more } },
});

describe("a revocation", () => {
  it("is pushed to the proxies by a key and without names, and taken from them when it is deleted", async () => {
    const { revocation, configSequence } = await revoke({ ...byToken("jti-canary"), reason: "stolen phone" });
    expect(configSequence).toBeGreaterThan(0n);
    expect(revocation!.name).toMatch(/^projects\/demo\/revocations\/[0-9a-f-]{36}$/);
    const held = (await streamed()).get(revocationStreamName(revocation!.name));
    expect(held).toMatchObject({ kind: "revocation", revocation: { issuedBeforeS: undefined } });
    const payloads = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 5_000));
    for (const { payload } of payloads) expect(Buffer.from(payload).toString("latin1")).not.toContain("jti-canary");
    await revocations().deleteRevocation({ name: revocation!.name });
    expect(await holds(revocation!.name)).toBe(false);
    expect((await failureOf(revocations().deleteRevocation({ name: revocation!.name }))).code).toBe("NotFound");
  });

  it.each<[string, object]>([
    ["token", byToken("j")],
    ["session", { target: { case: "sessionId", value: "s" } }],
    ["subject", bySubject("u")],
    ["issuer", { target: { case: "issuer", value: { issuer: builtIn } } }],
    ["link", { target: { case: "link", value: { link: "projects/demo/links/weather" } } }],
    ["key", { target: { case: "key", value: { issuer: builtIn, kid: "k" } } }],
  ])("by %s reads back as it was made, its defaults filled in", async (_kind, target) => {
    const { revocation } = await revoke({ ...target, reason: "why" });
    const { revocations: all } = await revocations(project.keys.viewer).listRevocations({ parent, pageSize: 500 });
    const read = all.find(({ name }) => name === revocation!.name);
    expect(read).toEqual(revocation);
    expect(read).toMatchObject({ ...target, reason: "why" });
    const { value } = read!.target as { value: { issuedBefore?: { seconds: bigint } } };
    if (value.issuedBefore !== undefined) expect(Number(value.issuedBefore.seconds)).toBe(plane.clock.now() / 1000);
    await revocations().deleteRevocation({ name: revocation!.name });
  });

  it("outlives every token of the built-in issuer by default, and others' for 90 days", async () => {
    const expiryOf = async (revocation: object) =>
      timestampMs((await revoke(revocation)).revocation!.expireTime!) - plane.clock.now();
    expect(await expiryOf(byToken("j1"))).toBe(DAY_MS + 360_000);
    await plane.client(IssuerService, project.keys.owner).createIssuer({
      parent,
      issuerId: "elsewhere",
      issuer: { iss: "https://a.example", keys: { case: "jwksUrl", value: "https://a.example/jwks" } },
    });
    expect(await expiryOf(byToken("j2"))).toBe(90 * DAY_MS);
    expect(await expiryOf(bySubject("u", { issuer: builtIn }))).toBe(DAY_MS + 360_000);
    expect(await expiryOf(bySubject("u", { issuer: "projects/demo/issuers/elsewhere" }))).toBe(90 * DAY_MS);
  });

  it("is made once under a request id", async () => {
    const requestId = "6f2b7a52-1111-4222-8333-944444444444";
    const first = await revoke(byToken("once"), { requestId });
    expect((await revoke(byToken("once"), { requestId })).revocation).toEqual(first.revocation);
    expect((await failureOf(revoke(byToken("else"), { requestId }))).reason).toBe("REQUEST_ID_REUSED");
  });

  it.each<[string, object]>([
    ["revocation", {}],
    ["revocation.token_id", byToken("")],
    ["revocation.token_id", byToken("a\u0000b")],
    ["revocation.reason", { ...byToken("j"), reason: "a\nb" }],
    ["revocation.link.link", { target: { case: "link", value: { link: "projects/other/links/foreign" } } }],
    ["revocation.link.link", { target: { case: "link", value: { link: "projects/demo/links/none" } } }],
    ["revocation.issuer.issuer", { target: { case: "issuer", value: { issuer: "projects/other/issuers/built-in" } } }],
    ["revocation.key.issuer", { target: { case: "key", value: { issuer: "projects/demo/issuers/x", kid: "k" } } }],
    ["revocation.subject.issued_before", bySubject("u", { issuedBefore: timestampFromMs(Date.UTC(2027, 0)) })],
    ["revocation.expire_time", { ...byToken("j"), expireTime: timestampFromMs(Date.UTC(2026, 0)) }],
    ["revocation.expire_time", { ...byToken("j"), expireTime: timestampFromMs(Date.UTC(2028, 5)) }],
  ])("needs a right %s", async (field, revocation) => {
    const failure = await failureOf(revoke(revocation));
    expect(failure).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID" });
    expect(failure.fields[0]).toMatch(new RegExp(`^${field}`));
  });

  it("past its expiry is not listed, and the sweeper takes it from the database and the proxies", async () => {
    const expireTime = timestampFromMs(plane.clock.now() + 60_000);
    const { revocation } = await revoke({ ...byToken("short"), expireTime });
    const { name } = revocation!;
    const isListed = async () => {
      const { revocations: all } = await revocations().listRevocations({ parent, pageSize: 500 });
      return all.some((one) => one.name === name);
    };
    await plane.control.sweep();
    expect([await isListed(), await holds(name)]).toEqual([true, true]);
    plane.clock.advance(60_000);
    expect([await isListed(), await holds(name)]).toEqual([false, true]);
    await plane.control.sweep();
    expect(await holds(name)).toBe(false);
  });

  it("of a project that is deleted leaves the proxies too", async () => {
    await plane.makeProject("gone");
    const { revocation } = await plane
      .client(RevocationService)
      .createRevocation({ parent: "projects/gone", revocation: { target: { case: "tokenId", value: "j" } } });
    const { ProjectService } = await import("@conduit-link/proto/conduit/v1/project_service_pb");
    await plane.client(ProjectService).deleteProject({ name: "projects/gone" });
    await plane.control.sweep();
    expect(await holds(revocation!.name)).toBe(false);
  });

  it("pages by id, each once", async () => {
    for (let at = 0; at < 5; at += 1) await revoke(byToken(`page-${at}`));
    const seen: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await revocations().listRevocations({ parent, pageSize: 2, pageToken });
      seen.push(...page.revocations.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(seen.length).toBeGreaterThanOrEqual(5);
    expect(seen).toEqual([...new Set(seen)].sort());
  });
});

describe("after everything issued before now was withdrawn", () => {
  const iatOf = (answer: { accessToken: string }) => decodeJwt(answer.accessToken).iat!;

  it.each<[string, () => object]>([
    ["a subject's", () => bySubject("user-1")],
    ["a subject's by issuer", () => bySubject("user-1", { issuer: builtIn })],
    ["an issuer's", () => ({ target: { case: "issuer", value: { issuer: builtIn } } })],
    ["a link's", () => ({ target: { case: "link", value: { link } } })],
  ])("%s new tokens are dated a second later, and live as long", async (_what, target) => {
    plane.clock.advance(10_500);
    const nowS = Math.floor(plane.clock.now() / 1000);
    expect(iatOf(await mint())).toBe(nowS);
    await revoke(target());
    const answer = await mint();
    expect(iatOf(answer)).toBe(nowS + 1);
    expect(answer.expiresIn).toBe(900n);
    expect(decodeJwt(answer.accessToken).exp).toBe(nowS + 901);
    plane.clock.advance(2_000);
    expect(iatOf(await mint())).toBe(Math.floor(plane.clock.now() / 1000));
  });

  it("others' tokens are dated as ever", async () => {
    plane.clock.advance(10_000);
    await revoke(bySubject("user-1"));
    expect(iatOf(await mint("user-2"))).toBe(Math.floor(plane.clock.now() / 1000));
  });
});

describe("RevokeToken", () => {
  const revokeToken = (target: object, more: object = {}) =>
    tokens().revokeToken({ parent, target: target as never, ...more });
  const listed = async () => {
    const { revocations: all } = await revocations().listRevocations({ parent, pageSize: 500 });
    return all;
  };

  it("withdraws an access token by its text, until it would have expired", async () => {
    const { accessToken, tokenId, expireTime } = await mint();
    await revokeToken({ case: "token", value: accessToken }, { reason: "signed out" });
    const made = (await listed()).find(({ target }) => target.value === tokenId)!;
    expect(made).toMatchObject({ target: { case: "tokenId" }, reason: "signed out" });
    expect(timestampMs(made.expireTime!)).toBe(timestampMs(expireTime!) + 360_000);
  });

  it("withdraws by token id and by session id", async () => {
    await revokeToken({ case: "tokenId", value: "by-id" });
    await revokeToken({ case: "sessionId", value: "by-session" });
    const targets = (await listed()).map(({ target }) => target);
    expect(targets).toContainEqual({ case: "tokenId", value: "by-id" });
    expect(targets).toContainEqual({ case: "sessionId", value: "by-session" });
  });

  it("finds nothing to do, and no error, for a token that is unknown, another project's or expired", async () => {
    const { accessToken } = await mint();
    const before = await listed();
    const foreign = await plane
      .client(TokenService)
      .mintToken({ parent: "projects/other", subject: "u", links: ["projects/other/links/foreign"] });
    await revokeToken({ case: "token", value: "garbage" });
    await revokeToken({ case: "token", value: foreign.accessToken });
    expect(await listed()).toEqual(before);
    plane.clock.advance(901_000);
    const later = await listed();
    await revokeToken({ case: "token", value: accessToken });
    expect(await listed()).toEqual(later);
  });

  it("needs something to withdraw", async () => {
    expect((await failureOf(tokens().revokeToken({ parent }))).code).toBe("InvalidArgument");
  });
});
