// A person, or somebody with their password, who has signed in thousands of times can be signed out all the same.
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { rowsOf } from "../../server/src/store/database.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane } from "./control-plane.ts";

const parent = "projects/demo";
const MANY = 2_500;

let plane: ControlPlane;
let link: string;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  link = await makeLink(plane, parent, "weather");
});
afterAll(() => plane[Symbol.asyncDispose]());

const open = (subject: string) => plane.client(TokenService).mintToken({ parent, subject, links: [link], session: {} });
const refresh = (refreshToken: string) => plane.client(TokenService, null).refreshToken({ refreshToken });
const isActive = async (token: string) => (await plane.client(TokenService).introspectToken({ parent, token })).active;
const countOf = (query: ReturnType<typeof sql>) =>
  plane.store.read(async (reader) => (await rowsOf<{ count: number }>(reader, query))[0]?.count);

/** Sessions like one that is there, each opened just now. */
const openMany = (subject: string) =>
  plane.store.transaction(async (tx) => {
    await tx.execute(
      sql`create temp table copy on commit drop as select * from sessions where subject = ${subject} limit 1`,
    );
    await tx.execute(sql`insert into sessions select (jsonb_populate_record(copy, jsonb_build_object('id', gen_random_uuid()))).*
      from copy, generate_series(1, ${MANY}::int)`);
  });

describe("signing out everywhere", () => {
  beforeEach(async () => {
    plane.clock.advance(3_600_000);
    await plane.store.transaction((tx) => tx.execute(sql`delete from revocations`));
  });

  it.each([
    ["all", "anna"],
    ["all but one", "bert"],
  ])("%s of thousands of sessions makes no more entries than proxies can take at once", async (which, subject) => {
    const gone = await open(subject);
    await openMany(subject);
    const kept = await open(subject);
    const except = which === "all" ? "" : kept.session;
    const sessions = plane.client(SessionService);
    const { revokedSessions } = await sessions.revokeSubjectSessions({ parent, subject, except });
    expect(revokedSessions).toBe(MANY + (except === "" ? 2 : 1));
    expect(await countOf(sql`select count(*)::int as count from revocations`)).toBeLessThanOrEqual(1_001);
    expect((await failureOf(refresh(gone.refreshToken))).reason).toBe("REFRESH_TOKEN_INVALID");
    plane.clock.advance(2_000);
    expect(await isActive(gone.accessToken)).toBe(false);
    if (except === "") return;
    // Its access token went with the others'; it gets another one.
    expect(await isActive((await refresh(kept.refreshToken)).accessToken)).toBe(true);
  });
});
