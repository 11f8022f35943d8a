// S20 on PostgreSQL, two replicas on one database: what was presented and answered is written down, and read by a checker.
import { create } from "@bufbuild/protobuf";
import { RefreshTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRefreshToken } from "../../server/src/model/refresh-token.ts";
import { createDatabase } from "../support/postgres.ts";
import { type ControlPlane, makeLink, startControlPlane } from "./control-plane.ts";
import { checkHistory, type RefreshRecord } from "./refresh-history.ts";

const ROUNDS = 20;
const AT_ONCE = 64;

let first: ControlPlane;
let second: ControlPlane;
let link: string;
beforeAll(async () => {
  const installation = { url: await createDatabase(), masterKey: Buffer.alloc(32, "shared").toString("base64") };
  first = await startControlPlane(installation);
  second = await startControlPlane(installation);
  await first.makeProject("demo");
  link = await makeLink(first, "projects/demo", "weather");
}, 60_000);
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const clientOf = (plane: ControlPlane) => createClient(TokenService, plane.transport(null));

/** Refreshes and writes down what came of it. */
async function record(
  history: RefreshRecord[],
  plane: ControlPlane,
  refreshToken: string,
): Promise<string | undefined> {
  const presented = readRefreshToken(refreshToken)!.counter;
  try {
    const request = create(RefreshTokenRequestSchema, { refreshToken });
    const answer = await clientOf(plane).refreshToken(request);
    history.push({ presented, answered: readRefreshToken(answer.refreshToken)!.counter });
    return answer.refreshToken;
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.Unauthenticated) throw error;
    history.push({ presented, answered: undefined });
    return undefined;
  }
}

const open = () =>
  first.client(TokenService).mintToken({ parent: "projects/demo", subject: "u", links: [link], session: {} });

describe("S20: 64 calls at once with one refresh token", () => {
  test("get one successor, all the same, round after round, and nobody is signed out", async () => {
    const history: RefreshRecord[] = [];
    let { refreshToken } = await open();
    for (let round = 0; round < ROUNDS; round += 1) {
      const presented = refreshToken;
      const answers = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, at) => record(history, at % 2 === 0 ? first : second, presented)),
      );
      expect(new Set(answers).size).toBe(1);
      refreshToken = answers[0]!;
      first.clock.advance(1_000);
      second.clock.advance(1_000);
    }
    expect(checkHistory(history)).toEqual({ problems: [], rotations: ROUNDS });
  }, 60_000);

  test("where an old one is among them: the session ends for everybody, and stays ended", async () => {
    const history: RefreshRecord[] = [];
    const opened = await open();
    const one = (await record(history, first, opened.refreshToken))!;
    const two = (await record(history, second, one))!;
    const presented = Array.from({ length: AT_ONCE }, (_, at) => (at === 40 ? opened.refreshToken : two));
    await Promise.all(presented.map((token, at) => record(history, at % 2 === 0 ? first : second, token)));
    expect(checkHistory(history).problems).toEqual([]);
    for (const plane of [first, second]) expect(await record(history, plane, two)).toBeUndefined();
  }, 60_000);

  test("a crash between commit and answer: the retry gets what was lost", async () => {
    const { refreshToken } = await open();
    const lost = await record([], first, refreshToken);
    // The answer never arrived; another replica is asked.
    expect(await record([], second, refreshToken)).toBe(lost);
    expect(await record([], second, lost!)).toBeDefined();
  });
});
