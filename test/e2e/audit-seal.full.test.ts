// promises.md S23 with real clocks on PostgreSQL: how long a record stays unsealed under load, and what
// `conduit audit verify` says of a trail that somebody with the database has changed.
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runConduit } from "../support/conduit-process.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { type ApartStack, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const PROJECT = "projects/trail";
const LINK = `${PROJECT}/links/trail-api`;
const ROUNDS = 12;
const SEALED_WITHIN_MS = 1_000;

let database: PostgresServer;
let stack: ApartStack;
let url: string;
let sql: Sql;

const mint = (subject: string) => stack.control.mintToken({ parent: PROJECT, subject, links: [LINK] });

beforeAll(async () => {
  database = await startPostgres();
  url = await database.createDatabase();
  stack = await startApart(url);
  sql = postgres(url, { max: 1 });
  const call = (service: string, method: string, message: Record<string, unknown>) =>
    stack.control.call(`conduit.v1.${service}`, method, message);
  await call("ProjectService", "CreateProject", { projectId: "trail" });
  const link = {
    upstream: { baseUrl: "https://api.example" },
    rules: [{ path: "/**" }],
    issuers: [`${PROJECT}/issuers/built-in`],
  };
  await call("LinkService", "CreateLink", { parent: PROJECT, linkId: "trail-api", link });
}, 120_000);
afterAll(async () => {
  await Promise.all(stack.processes.map((it) => it.stop("SIGKILL")));
  await sql.end();
  await database.stop();
});

/** Milliseconds from the mint's answer until all its records are seen sealed in the database. */
async function sealedAfterMs(subject: string): Promise<number> {
  await mint(subject);
  const answeredMs = performance.now();
  await until("the record is sealed", async () => {
    const [row] =
      await sql`select count(*) filter (where block is null)::int as open, count(*)::int as all from audit_records`;
    return row?.all > 0 && row?.open === 0 ? true : undefined;
  });
  return performance.now() - answeredMs;
}

test("S23: a record is sealed within a second of its commit, one at a time and among hundreds a second", async () => {
  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) tookMs.push(await sealedAfterMs(`quiet-${round}`));
  const bursts = Array.from({ length: 8 }, async (_, writer) => {
    for (let count = 0; count < 40; count += 1) await mint(`busy-${writer}`);
  });
  await Promise.all(bursts);
  await until("all are sealed", async () => {
    const [row] = await sql`select count(*)::int as open from audit_records where block is null`;
    return row?.open === 0 ? true : undefined;
  });
  // Both times are the server's: when the deed was written down, when its block was.
  const [busy] =
    await sql`select count(*)::int as records, max(extract(epoch from b.seal_time - r.time) * 1000)::float8 as ms
    from audit_records r join audit_blocks b on b.number = r.block where r.action = 'TokenService.MintToken'`;
  process.stdout.write(
    `S23: sealed at most ${Math.max(...tookMs).toFixed(0)} ms after the answer (${ROUNDS} single mints), ` +
      `${Number(busy?.ms).toFixed(0)} ms after the deed (${busy?.records} mints)\n`,
  );
  expect(busy?.records).toBe(ROUNDS + 8 * 40);
  expect(Math.max(...tookMs)).toBeLessThanOrEqual(SEALED_WITHIN_MS);
  expect(busy?.ms).toBeLessThanOrEqual(SEALED_WITHIN_MS);
});

interface Verdict {
  readonly exit: number | string;
  readonly unsealed: number;
  readonly records: number;
  readonly findings: readonly { readonly block: number; readonly what: string }[];
}

async function verify(databaseUrl: string): Promise<Verdict> {
  const env = { ...stack.serverEnv, DATABASE_URL: databaseUrl };
  const { exit, stdout } = await runConduit(["audit", "verify", "--local", "--json"], { env });
  return { exit, ...(JSON.parse(stdout) as Omit<Verdict, "exit">) };
}

/** What somebody does to the trail: a statement, with `$block` for a sealed block of several records. */
const CHANGES: readonly (readonly [what: string, statement: string])[] = [
  [
    "a changed actor",
    "update audit_records set actor = 'apiKeys/nobody' where id = (select min(id) from audit_records where block = $block)",
  ],
  [
    "a changed detail",
    'update audit_records set details = details || \'{"subject": "other"}\' where id = (select max(id) from audit_records where block = $block)',
  ],
  [
    "a changed time",
    "update audit_records set time = time - interval '1 hour' where id = (select min(id) from audit_records where block = $block)",
  ],
  ["a removed record", "delete from audit_records where id = (select min(id) from audit_records where block = $block)"],
  [
    "a record moved to another block",
    "update audit_records set block = $block - 1 where id = (select min(id) from audit_records where block = $block)",
  ],
  [
    "a sealed record made unsealed",
    "update audit_records set block = null where id = (select min(id) from audit_records where block = $block)",
  ],
  ["a removed block", "delete from audit_blocks where number = $block"],
  [
    "two records in each other's place",
    `with pair as (select min(id) as low, max(id) as high from audit_records where block = $block),
     kept as (select r.* from audit_records r, pair where r.id in (low, high))
     update audit_records r set time = k.time, actor = k.actor, action = k.action, resource = k.resource, request_id = k.request_id, details = k.details
     from kept k, pair where r.id in (low, high) and k.id in (low, high) and r.id <> k.id`,
  ],
];

describe("S23: conduit audit verify", () => {
  let block = 0;
  let copies = 0;
  /** A copy of the database with the trail, after the server was killed in the middle of its work. */
  async function copyWith(statement?: string): Promise<string> {
    copies += 1;
    const name = `trail_copy_${copies}`;
    const admin = postgres(database.url, { max: 1 });
    await admin.unsafe(`create database ${name} template ${new URL(url).pathname.slice(1)}`);
    await admin.end();
    const copy = new URL(url);
    copy.pathname = `/${name}`;
    if (statement !== undefined) {
      const changed = postgres(copy.href, { max: 1 });
      expect((await changed.unsafe(statement.replaceAll("$block", `${block}`))).count).toBeGreaterThan(0);
      await changed.end();
    }
    return copy.href;
  }

  beforeAll(async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => mint(`last-${index}`)));
    await stack.server.stop("SIGKILL");
    const [row] =
      await sql`select block::int as block from audit_records where block > 1 group by block having count(*) >= 2 and count(distinct request_id) >= 2 order by block desc limit 1`;
    block = Number(row?.block);
    await sql.end();
    sql = postgres(database.url, { max: 1 });
  });

  test("finds nothing in an untouched trail, and tells the length of the tail that kill -9 left unsealed", async () => {
    const copy = await copyWith();
    const reader = postgres(copy, { max: 1 });
    const [row] = await reader`select count(*)::int as open from audit_records where block is null`;
    await reader.end();
    const verdict = await verify(copy);
    expect(verdict).toMatchObject({ exit: 0, findings: [], unsealed: row?.open });
    expect(verdict.unsealed).toBeGreaterThan(0);
    expect(verdict.records).toBeGreaterThan(ROUNDS + 8 * 40);
  });

  test.each(CHANGES)("finds %s", async (_what, statement) => {
    const verdict = await verify(await copyWith(statement));
    expect(verdict.exit).toBe(1);
    expect(verdict.findings.map((finding) => finding.block)).toContain(block);
  });
});
