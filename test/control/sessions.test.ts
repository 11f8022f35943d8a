import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { SessionService, Session_State as State } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { sql } from "drizzle-orm";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { REFRESH_KEY_BYTES, writeRefreshToken } from "../../server/src/model/refresh-token.ts";
import { revocationStreamName } from "../../server/src/model/revocation.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { rowsOf } from "../../server/src/store/database.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

const parent = "projects/demo";
const DAY_MS = 86_400_000;

let plane: ControlPlane;
let project: TestProject;
let other: TestProject;
let link: string;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  other = await plane.makeProject("other");
  link = await makeLink(plane, parent, "weather");
});
afterAll(() => plane[Symbol.asyncDispose]());

const tokens = (key = project.keys.minter) => plane.client(TokenService, key);
const sessions = (key = project.keys.editor) => plane.client(SessionService, key);
const open = (session: object = {}, more: object = {}) =>
  tokens().mintToken({ parent, subject: "user-1", links: [link], session, ...more });
/** As an app does: without an API key. */
const refresh = (refreshToken: string, more: object = {}) =>
  plane.client(TokenService, null).refreshToken({ refreshToken, ...more });
const refusalOf = async (refreshToken: string, more: object = {}) => {
  const failure = await failureOf(refresh(refreshToken, more));
  expect(failure).toMatchObject({ code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" });
  return failure;
};
const stateOf = async (name: string) => (await sessions().getSession({ name })).session!;
const withdrawn = async (kind: string, value: string) => {
  const { revocations } = await plane.client(RevocationService).listRevocations({ parent, pageSize: 500 });
  const found = revocations.find(
    ({ target }) =>
      target.case === kind && (target.value === value || (target.value as { subject?: string }).subject === value),
  );
  if (found === undefined) return undefined;
  const resources = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 5_000));
  expect(resources.map(({ name }) => name)).toContain(revocationStreamName(found.name));
  return found;
};
const sidOf = (name: string) => name.slice(name.lastIndexOf("/") + 1);

describe("a session", () => {
  it("is opened only when it is asked for, and its access token carries its id", async () => {
    expect(await tokens().mintToken({ parent, subject: "u", links: [link] })).toMatchObject({
      refreshToken: "",
      session: "",
    });
    const answer = await open({ deviceLabel: "Anna's phone" });
    expect(answer.refreshToken).toMatch(/^cl_rt_/);
    expect(decodeJwt(answer.accessToken).sid).toBe(sidOf(answer.session));
    expect(await stateOf(answer.session)).toMatchObject({
      ...{ subject: "user-1", links: [link], deviceLabel: "Anna's phone", state: State.ACTIVE },
      clientId: decodeJwt(answer.accessToken).client_id,
    });
  });

  it("gives the same kind of access token at every refresh", async () => {
    const more = {
      roles: ["admin"],
      scope: "read write",
      claims: { email: "a@b.example", odd: "a\u0000b" },
      lifetime: { seconds: 60n },
    };
    const first = await open({}, more);
    const second = await refresh(first.refreshToken);
    const claims = decodeJwt(second.accessToken);
    expect(claims).toMatchObject({ ...decodeJwt(first.accessToken), jti: second.tokenId });
    expect(claims.jti).not.toBe(first.tokenId);
    expect(second).toMatchObject({ expiresIn: 60n, scope: "read write", session: first.session, tokenType: "Bearer" });
  });

  it("in a batch is one for each that asks", async () => {
    const requests = [{}, undefined, {}].map((session) => ({
      parent,
      subject: "u",
      links: [link],
      ...(session && { session }),
    }));
    const { tokens: minted } = await tokens().batchMintTokens({ parent, requests });
    expect(minted.map(({ refreshToken }) => refreshToken !== "")).toEqual([true, false, true]);
    expect(new Set(minted.map(({ session }) => session)).size).toBe(3);
  });
});

describe("refreshing", () => {
  it("rotates: the next token works, and is told in the trail", async () => {
    let { refreshToken, session } = await open();
    const seen = new Set([refreshToken]);
    for (let round = 0; round < 5; round += 1) {
      plane.clock.advance(60_000);
      ({ refreshToken } = await refresh(refreshToken));
      seen.add(refreshToken);
    }
    expect(seen.size).toBe(6);
    const rows = await plane.store.read((reader) =>
      rowsOf<{ details: { outcome: string; token_id: string } }>(
        reader,
        sql`select details from audit_records where resource = ${session} and action = 'TokenService.RefreshToken'`,
      ),
    );
    expect(rows.map(({ details }) => details.outcome)).toEqual(Array(5).fill("rotate"));
  });

  it("gives a lost answer again within 30 s: the same refresh token, another access token", async () => {
    const { refreshToken } = await open();
    const first = await refresh(refreshToken);
    plane.clock.advance(30_000);
    const again = await refresh(refreshToken);
    expect(again.refreshToken).toBe(first.refreshToken);
    expect(again.tokenId).not.toBe(first.tokenId);
    await refresh(first.refreshToken);
  });

  it("gives it again at any time to the attempt that lost it", async () => {
    const { refreshToken } = await open();
    const first = await refresh(refreshToken, { attemptId: "attempt-1" });
    plane.clock.advance(3_600_000);
    expect((await refresh(refreshToken, { attemptId: "attempt-1" })).refreshToken).toBe(first.refreshToken);
  });

  it.each<[string, number, object]>([
    ["the one before, after 30 s", 30_001, {}],
    ["the one before, by another attempt", 30_001, { attemptId: "attempt-2" }],
  ])("with %s ends the session at every proxy", async (_what, waitMs, more) => {
    const { refreshToken, session } = await open();
    const second = await refresh(refreshToken, { attemptId: "attempt-1" });
    plane.clock.advance(waitMs);
    await refusalOf(refreshToken, more);
    expect(await stateOf(session)).toMatchObject({ state: State.REVOKED, revokeReason: "refresh_token_reuse" });
    expect(await withdrawn("sessionId", sidOf(session))).toMatchObject({ reason: "refresh_token_reuse" });
    await refusalOf(second.refreshToken);
  });

  it("with one before the one before ends the session, inside the window too", async () => {
    const first = await open();
    const second = await refresh(first.refreshToken);
    const third = await refresh(second.refreshToken);
    await refusalOf(first.refreshToken);
    await refusalOf(third.refreshToken);
    expect((await stateOf(first.session)).state).toBe(State.REVOKED);
  });

  it("refuses forgeries without a transaction: anybody can send any number of them", async () => {
    const { session, refreshToken } = await open();
    const key = Buffer.alloc(REFRESH_KEY_BYTES, 1);
    const transaction = vi.spyOn(plane.store, "transaction");
    for (const id of [sidOf(session), crypto.randomUUID()]) await refusalOf(writeRefreshToken(key, id, 0).reveal());
    expect(transaction).not.toHaveBeenCalled();
    transaction.mockRestore();
    await refresh(refreshToken);
  });

  it("refuses garbage, forgeries and tokens not given out yet, with the same words and no effect", async () => {
    const { refreshToken, session } = await open();
    const forged = writeRefreshToken(new Uint8Array(32), sidOf(session), 0).reveal();
    const unknown = writeRefreshToken(new Uint8Array(32), "00000000-0000-4000-8000-000000000000", 0).reveal();
    const texts = new Set<string>();
    for (const token of ["garbage", project.keys.minter, forged, unknown]) texts.add((await refusalOf(token)).message);
    expect(texts.size).toBe(1);
    expect((await stateOf(session)).state).toBe(State.ACTIVE);
    await refresh(refreshToken);
  });

  it("refuses a client that says it is another, and takes a link's app and the key's back end", async () => {
    const { refreshToken, accessToken } = await open();
    await refusalOf(refreshToken, { clientId: "someone-else" });
    const second = await refresh(refreshToken, { clientId: "weather" });
    expect(decodeJwt(second.accessToken).client_id).toBe("weather");
    const clientId = decodeJwt(accessToken).client_id as string;
    const third = await refresh(second.refreshToken, { clientId });
    expect(decodeJwt(third.accessToken).client_id).toBe(clientId);
  });

  it("is over after 7 days without a refresh, and after 30 in any case", async () => {
    const idle = await open();
    plane.clock.advance(7 * DAY_MS);
    await refusalOf(idle.refreshToken);
    expect((await stateOf(idle.session)).state).toBe(State.EXPIRED);
    let { refreshToken } = await open();
    for (let day = 0; day < 29; day += 1) {
      plane.clock.advance(DAY_MS);
      ({ refreshToken } = await refresh(refreshToken));
    }
    plane.clock.advance(DAY_MS);
    await refusalOf(refreshToken);
  });

  it("keeps to shorter lives, and takes no longer ones", async () => {
    const { refreshToken } = await open({ idleLifetime: { seconds: 60n } });
    plane.clock.advance(59_999);
    const second = await refresh(refreshToken);
    plane.clock.advance(60_000);
    await refusalOf(second.refreshToken);
    for (const [field, session] of [
      ["session.idle_lifetime", { idleLifetime: { seconds: 604_801n } }],
      ["session.absolute_lifetime", { absoluteLifetime: { seconds: 2_592_001n } }],
    ] as const)
      expect((await failureOf(open(session))).fields).toEqual([field]);
  });

  it("leaves no refresh token in the database, the log or the trail", async () => {
    const { refreshToken } = await open();
    const second = await refresh(refreshToken);
    const tables = await plane.store.read(async (reader) => [
      await rowsOf(reader, sql`select s::text from sessions s`),
      await rowsOf(reader, sql`select a::text from audit_records a`),
    ]);
    for (const token of [refreshToken, second.refreshToken]) {
      expect(JSON.stringify(tables)).not.toContain(token);
      expect(plane.logged()).not.toContain(token);
    }
  });
});

describe("ending sessions", () => {
  it("one: its refresh token and its access tokens are refused; once more changes nothing", async () => {
    const { refreshToken, session } = await open();
    const ended = await sessions(project.keys.minter).revokeSession({ name: session, reason: "signed out" });
    expect(ended.session).toMatchObject({ state: State.REVOKED, revokeReason: "signed out" });
    expect(await withdrawn("sessionId", sidOf(session))).toMatchObject({ reason: "signed out" });
    await refusalOf(refreshToken);
    const again = await sessions().revokeSession({ name: session, reason: "other" });
    expect(again).toMatchObject({ session: { revokeReason: "signed out" }, configSequence: ended.configSequence });
  });

  it("by RevokeToken with any of its refresh tokens, but not with a made-up one or from another project", async () => {
    const { refreshToken, session } = await open();
    const forged = writeRefreshToken(new Uint8Array(32), sidOf(session), 0).reveal();
    const revoke = (value: string, of = project) =>
      tokens(of.keys.minter).revokeToken({ parent: of.name, target: { case: "token", value } });
    await revoke(forged);
    await revoke(refreshToken, other);
    expect((await stateOf(session)).state).toBe(State.ACTIVE);
    const second = await refresh(refreshToken);
    await revoke(refreshToken);
    expect((await stateOf(session)).state).toBe(State.REVOKED);
    await refusalOf(second.refreshToken);
  });

  it("by RevokeToken with its id", async () => {
    const { session } = await open();
    await tokens().revokeToken({ parent, target: { case: "sessionId", value: sidOf(session) } });
    expect((await stateOf(session)).state).toBe(State.REVOKED);
  });

  it("all of a person's: tokens without a session are withdrawn too, and the next log-in works", async () => {
    const subject = "anna";
    const mine = [await open({}, { subject }), await open({}, { subject })];
    const others = await open({}, { subject: "bert" });
    const answer = await sessions(project.keys.minter).revokeSubjectSessions({
      parent,
      subject,
      reason: "password changed",
    });
    expect(answer.revokedSessions).toBe(2);
    for (const { refreshToken } of mine) await refusalOf(refreshToken);
    expect(await withdrawn("subject", subject)).toMatchObject({ reason: "password changed" });
    const next = await open({}, { subject });
    expect(decodeJwt(next.accessToken).iat).toBe(Math.floor(plane.clock.now() / 1000) + 1);
    await refresh(next.refreshToken);
    await refresh(others.refreshToken);
  });

  it("all of a person's: a refresh that is under way meanwhile gets no access token that counts", async () => {
    const subject = "dora";
    const { refreshToken } = await open({}, { subject });
    const statement = plane.store.statement.bind(plane.store);
    // Between the rotation, which is a statement of its own, and the signature.
    const hook = vi.spyOn(plane.store, "statement").mockImplementationOnce(async (work) => {
      const rotated = await statement(work);
      expect((await sessions().revokeSubjectSessions({ parent, subject })).revokedSessions).toBe(1);
      plane.clock.advance(1_000);
      return rotated;
    });
    const late = await refresh(refreshToken);
    hook.mockRestore();
    plane.clock.advance(2_000);
    expect((await tokens().introspectToken({ parent, token: late.accessToken })).active).toBe(false);
    await refusalOf(late.refreshToken);
  });

  it("all of a person's but one: of one that is over by itself the access tokens are withdrawn all the same", async () => {
    const subject = "emil";
    const over = await open({ absoluteLifetime: { seconds: 60n } }, { subject });
    const kept = await open({}, { subject });
    plane.clock.advance(61_000);
    await sessions().revokeSubjectSessions({ parent, subject, except: kept.session });
    expect((await tokens().introspectToken({ parent, token: over.accessToken })).active).toBe(false);
    expect((await tokens().introspectToken({ parent, token: kept.accessToken })).active).toBe(true);
  });

  it("all of a person's but one: that one goes on, its access tokens too", async () => {
    const subject = "carl";
    const [kept, gone] = [await open({}, { subject }), await open({}, { subject })];
    expect((await sessions().revokeSubjectSessions({ parent, subject, except: kept.session })).revokedSessions).toBe(1);
    await refusalOf(gone.refreshToken);
    expect(await withdrawn("sessionId", sidOf(gone.session))).toBeDefined();
    expect(await withdrawn("subject", subject)).toBeUndefined();
    await refresh(kept.refreshToken);
    const foreign = "projects/other/sessions/0b7c1f2e-3d4a-4b5c-8d9e-0f1a2b3c4d5e";
    expect((await failureOf(sessions().revokeSubjectSessions({ parent, subject, except: foreign }))).fields).toEqual([
      "except",
    ]);
  });
});

describe("the list", () => {
  it("is a person's or everybody's, in pages, and never another project's", async () => {
    const subject = "list-me";
    const made = new Set<string>();
    for (let at = 0; at < 5; at += 1) made.add((await open({}, { subject })).session);
    const seen: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await sessions(project.keys.viewer).listSessions({ parent, subject, pageSize: 2, pageToken });
      seen.push(...page.sessions.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(new Set(seen)).toEqual(made);
    expect(seen.length).toBe(5);
    expect((await sessions().listSessions({ parent, pageSize: 500 })).sessions.length).toBeGreaterThan(5);
    expect((await sessions(other.keys.owner).listSessions({ parent: other.name })).sessions).toEqual([]);
    const foreign = seen[0]!.replace("projects/demo", "projects/other");
    for (const name of [foreign, "projects/other/sessions/nonsense"])
      expect((await failureOf(sessions(other.keys.owner).getSession({ name }))).code).toBe("NotFound");
  });
});
