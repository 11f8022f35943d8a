// S20 with real processes: two replicas on one PostgreSQL, 64 refreshes of one token at once, 200 rounds, replicas killed
// with SIGKILL in the middle. What was presented and answered is written down and read by the checker.
import { randomBytes } from "node:crypto";
import { createControlClient } from "@conduit-link/sdk/server";
import { beforeAll, expect, test } from "vitest";
import { readRefreshToken } from "../../server/src/model/refresh-token.ts";
import { checkHistory, type RefreshRecord } from "../control/refresh-history.ts";
import { startConduit } from "../support/conduit.ts";
import { type ConduitProcess, runConduit } from "../support/conduit-process.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

const ROUNDS = 200;
const AT_ONCE = 64;
/** Every so many rounds a replica is killed while it answers. */
const KILL_EVERY = 20;
const PROJECT = "projects/crash";
const LINK = `${PROJECT}/links/crash-api`;

interface Replica {
  process: ConduitProcess;
  readonly start: () => Promise<ConduitProcess>;
}

const replicas: Replica[] = [];
let refreshToken: string;

beforeAll(async () => {
  const env = { CONDUIT_MASTER_KEY: randomBytes(32).toString("base64"), DATABASE_URL: await createDatabase() };
  const dataDir = makeTmpDir("conduit-crash-").path;
  const flags = ["--role", "operator", "--local", "--json", "--data-dir", dataDir];
  const created = await runConduit(["api-key", "create", ...flags], { env });
  const { key } = JSON.parse(created.stdout) as { key: string };
  for (const name of ["a", "b"]) {
    const start = () =>
      startConduit("server", {
        dataDir: makeTmpDir(`conduit-crash-${name}-`).path,
        env,
        args: ["--host", "127.0.0.1"],
      });
    replicas.push({ start, process: await start() });
  }
  const control = createControlClient({ url: urlOf(replicas[0]!), apiKey: key });
  await control.call("conduit.v1.ProjectService", "CreateProject", { projectId: "crash" });
  await control.call("conduit.v1.LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: "crash-api",
    link: {
      upstream: { baseUrl: "https://api.example" },
      issuers: [`${PROJECT}/issuers/built-in`],
      rules: [{ path: "/**" }],
    },
  });
  const minted = await control.mintToken({ parent: PROJECT, subject: "u", links: [LINK], session: {} });
  refreshToken = minted.refreshToken ?? "";
}, 120_000);

const urlOf = ({ process }: Replica): string => `http://127.0.0.1:${process.ports.http}`;

/** The refresh token that was answered; undefined = the answer was lost with its replica. Rejects when it is refused. */
async function refresh(replica: Replica, presented: string, attemptId: string): Promise<string | undefined> {
  const body = JSON.stringify({ refreshToken: presented, attemptId });
  const headers = { "content-type": "application/json" };
  const url = `${urlOf(replica)}/conduit.v1.TokenService/RefreshToken`;
  const response = await fetch(url, { method: "POST", headers, body }).catch(() => undefined);
  const answer = (await response?.json().catch(() => undefined)) as { refreshToken?: string } | undefined;
  if (response === undefined || answer === undefined || response.status >= 500) return undefined;
  if (response.status !== 200) throw new Error(`refused: ${JSON.stringify(answer)}`);
  return answer.refreshToken;
}

test("S20: never two successors, never a user locked out, whatever is killed when", async () => {
  const history: RefreshRecord[] = [];
  let lost = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const presented = refreshToken;
    const victim = round % KILL_EVERY === 7 ? replicas[(round / KILL_EVERY) % 2 < 1 ? 0 : 1] : undefined;
    const calls = Array.from({ length: AT_ONCE }, (_, at) => refresh(replicas[at % 2]!, presented, `round-${round}`));
    const killed = victim && Promise.race(calls).then(() => victim.process.stop("SIGKILL"));
    const answers = await Promise.all(calls);
    if (victim !== undefined) {
      await killed;
      victim.process = await victim.start();
    }
    const [answered = await retried(presented, round), ...others] = new Set(answers.filter((one) => one !== undefined));
    expect(others).toEqual([]);
    lost += answers.filter((one) => one === undefined).length;
    for (const one of [answered, ...answers])
      if (one !== undefined) history.push({ presented: counterOf(presented), answered: counterOf(one) });
    refreshToken = answered;
  }
  expect(checkHistory(history)).toEqual({ problems: [], rotations: ROUNDS });
  process.stdout.write(`refresh: ${ROUNDS} rounds of ${AT_ONCE}, ${lost} answers lost with their replicas\n`);
}, 900_000);

const counterOf = (token: string): number => readRefreshToken(token)?.counter ?? -1;

/** All answers were lost: the same attempt again, at the other replica. */
const retried = (presented: string, round: number): Promise<string> =>
  until("the lost answer", () => refresh(replicas[round % 2]!, presented, `round-${round}`));
