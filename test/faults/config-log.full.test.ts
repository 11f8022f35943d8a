// R2 with real processes: three replicas of the server on one PostgreSQL, two proxies, two hundred streams, twelve writers. After
// every fault database, streams and proxies hold the same, and nothing that was acknowledged is missing.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { createControlClient } from "@conduit-link/sdk/server";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { commitChanges } from "../../server/src/config-log/commit.ts";
import { isSameDigest } from "../../server/src/model/config-digest.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { commit, databaseState, remove, upsert } from "../config-log/changes.ts";
import { startConduit } from "../support/conduit.ts";
import { type ConduitProcess, runConduit } from "../support/conduit-process.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { joinProxy } from "../support/stack.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";
import { OWN, ownName, ROUNDS, roundChanges, roundOf } from "./config-log-rounds.ts";
import { StreamReader } from "./stream-reader.ts";

const WRITERS = 12;
const PER_PROCESS = 3;
/** Streams during the burst, four at each replica; then so many. */
const TAILERS = 12;
const STREAMS = 200;
const SETTLE_MS = 60_000;

let server: PostgresServer;
let databaseUrl: string;
let store: Store;
let env: Record<string, string>;
let apiKey: string;
let credential: string;
const replicas: ConduitProcess[] = [];
const proxies: ConduitProcess[] = [];
const readers: StreamReader[] = [];

const open = (): Promise<Store> =>
  openStore({ kind: "postgres", url: new SecretText(databaseUrl) }, { clock: systemClock, random: systemRandom });

async function startReplica(at: number): Promise<void> {
  const before = replicas[at];
  const options = before === undefined ? { dataDir: makeTmpDir(`conduit-log-${at}-`).path } : before;
  const { dataDir, ports } = options as ConduitProcess;
  replicas[at] = await startConduit("server", { dataDir, env, args: ["--host", "127.0.0.1"], ...(ports && { ports }) });
}

const control = () => createControlClient({ url: `http://127.0.0.1:${replicas[0]!.ports.http}`, apiKey });
const addresses = () => replicas.map(({ ports }) => `127.0.0.1:${ports.grpc}`);

beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = await server.createDatabase();
  env = { CONDUIT_MASTER_KEY: randomBytes(32).toString("base64"), DATABASE_URL: databaseUrl };
  const dataDir = makeTmpDir("conduit-log-key-").path;
  const flags = ["--role", "operator", "--local", "--json", "--data-dir", dataDir];
  const created = await runConduit(["api-key", "create", ...flags], { env });
  apiKey = (JSON.parse(created.stdout) as { key: string }).key;
  for (const at of [0, 1, 2]) await startReplica(at);
  const call = <T>(method: string, body: object) => control().call<T>("conduit.v1.ProxyService", method, { ...body });
  const { joinToken } = await call<{ joinToken: string }>("CreateJoinToken", {});
  credential = (await call<{ credential: string }>("JoinProxy", { joinToken })).credential;
  for (const at of [0, 1])
    proxies.push(await joinProxy(`http://127.0.0.1:${replicas[0]!.ports.http}`, addresses()[at]!, apiKey));
  for (let at = 0; at < TAILERS; at += 1) readers.push(new StreamReader(addresses(), credential, at));
  store = await open();
}, 240_000);

afterAll(async () => {
  for (const reader of readers) reader.close();
  await store?.close();
  await Promise.all([...proxies, ...replicas].map((it) => it.stop("SIGKILL")));
  await server?.stop();
});

/** What the proxy itself says it has applied; it does so only after its own digest was right. */
async function appliedBy({ ports }: ConduitProcess): Promise<bigint> {
  const text = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
  return BigInt(/^conduit_proxy_config_sequence(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1] ?? -1);
}

/** Waits until everybody holds what the database does, and returns that. */
async function settled(who: readonly StreamReader[] = readers) {
  // The connections may just have been cut.
  const state = await until("the database", () => databaseState(store).catch(() => undefined));
  expect(state.head.digest).toEqual(state.digest);
  const { sequence, epoch } = state.head;
  const isThere = (it: StreamReader) =>
    it.sequence === sequence && it.epoch === epoch && isSameDigest(it.digest, state.digest);
  await until(`all streams at ${sequence}`, () => who.every(isThere) || undefined, SETTLE_MS);
  for (const proxy of proxies)
    await until("the proxies", async () => (await appliedBy(proxy)) === sequence || undefined, SETTLE_MS);
  expect(readers.flatMap(({ problems }) => problems)).toEqual([]);
  return state;
}

interface Writers {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
}

function startWriters(first: number, acknowledged: Map<number, number>): Writers {
  const done = Array.from({ length: PER_PROCESS }, (_, index) => acknowledged.get(first + index) ?? 0);
  const program = join(import.meta.dirname, "config-log-writer.ts");
  const args = ["--conditions=conduit-source", program, databaseUrl, `${first}`, done.join(",")];
  const process_ = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(process_, "exit");
  const lines = createInterface({ input: process_.stdout! });
  lines.on("line", (line) => {
    const [writer, round] = line.split(" ").map(Number);
    if (writer !== undefined && round !== undefined) acknowledged.set(writer, round);
  });
  return { process: process_, exited: Promise.all([exited, once(lines, "close")]) };
}

const admin = async <T>(use: (sql: postgres.Sql) => Promise<T>, url = databaseUrl): Promise<T> => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  return use(sql).finally(() => sql.end());
};

/** Ends the connections that listen; returns how many. */
const endListeners = (): Promise<number> =>
  admin(async (sql) => {
    const rows = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query ilike 'listen%'`;
    return rows.length;
  });

test("R2: writers killed, listeners cut, one replica frozen and one killed: nothing acknowledged is missing, all hold the same", async () => {
  const acknowledged = new Map<number, number>();
  const writers = Array.from({ length: WRITERS / PER_PROCESS }, (_, at) =>
    startWriters(at * PER_PROCESS, acknowledged),
  );
  const total = () => [...acknowledged.values()].reduce((sum, round) => sum + round, 0);
  const written = (count: number) => until(`${count} changes`, () => total() >= count || undefined, 240_000);
  let cut = 0;
  let killed = 0;
  for (const step of [1, 2, 3, 4, 5, 6]) {
    await written(step * 1_200);
    cut += await endListeners();
    if (step === 2) process.kill(replicas[2]!.pid, "SIGSTOP");
    if (step === 4) process.kill(replicas[2]!.pid, "SIGCONT");
    if (step === 3) await replicas[1]!.stop("SIGKILL").then(() => startReplica(1));
    const at = step % writers.length;
    writers[at]!.process.kill("SIGKILL");
    await writers[at]!.exited;
    killed += 1;
    writers[at] = startWriters(at * PER_PROCESS, acknowledged);
  }
  await Promise.all(writers.map(({ exited }) => exited));
  expect([...acknowledged.values()]).toEqual(Array.from({ length: WRITERS }, () => ROUNDS));
  const { head, resources } = await settled();
  const rounds = new Map(resources.map((resource) => [resource.name, resource]));
  for (let writer = 0; writer < WRITERS; writer += 1)
    for (let slot = 0; slot < OWN; slot += 1) {
      const last = ROUNDS - ((ROUNDS - slot) % OWN);
      expect(roundOf(rounds.get(ownName(writer, slot))!)).toBe(last);
    }
  const resyncs = readers.flatMap(({ hellos }) => hellos.slice(1)).filter((reason) => reason !== "UNSPECIFIED");
  process.stdout.write(
    `config log: ${total()} changes acknowledged, sequence ${head.sequence}, ${killed} writer processes killed, ` +
      `${cut} listeners cut, ${resyncs.length} snapshots after the first\n`,
  );
}, 600_000);

const rssMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;

test("R2: one of two hundred streams that does not read costs no memory and delays nobody; it comes back with what it missed", async () => {
  while (readers.length < STREAMS) readers.push(new StreamReader(addresses(), credential, readers.length));
  await settled();
  const slow = readers[7]!;
  const others = readers.filter((it) => it !== slow);
  const hellos = slow.hellos.length;
  const before = replicas.map(({ pid }) => rssMiB(pid));
  slow.pause();
  const delays: number[] = [];
  for (let index = 0; index < 250; index += 1) {
    const value = randomBytes(6_000);
    const sequence = await commit(store, upsert(`filler-${index % 10}`, value));
    const start = performance.now();
    await until("the others", () => others.every((it) => it.sequence >= sequence) || undefined);
    delays.push(performance.now() - start);
  }
  const stalled = async () => slow.hellos.length > hellos || undefined;
  // The server gives it up after half a minute without reading; reading what was sent before, it learns that.
  await delay(31_000);
  slow.resume();
  await until("the slow one back", stalled, 60_000);
  await commit(store, ...Array.from({ length: 10 }, (_, index) => remove(`filler-${index}`)));
  await settled();
  const grown = replicas.map(({ pid }, at) => rssMiB(pid) - before[at]!);
  const sorted = delays.toSorted((a, b) => a - b);
  const figure = (share: number) => sorted[Math.floor(sorted.length * share)]!.toFixed(1);
  process.stdout.write(
    `slow reader: commit to the other 199 p50 ${figure(0.5)} ms, p99 ${figure(0.99)} ms; ` +
      `the slow one came back for ${slow.hellos.at(-1)}; memory of the replicas ${grown.map((mib) => `${mib.toFixed(0)} MiB`).join(", ")} more\n`,
  );
  expect(Math.max(...grown)).toBeLessThan(150);
}, 300_000);

/** A copy of the database as it is now: as a dump that nobody can have written into. */
const copyDatabase = (from: string, to: string): Promise<void> =>
  admin(async (sql) => {
    await sql.unsafe(`alter database ${from} allow_connections false`);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${from}`;
    await sql.unsafe(`drop database if exists ${to} with (force)`);
    await sql.unsafe(`create database ${to} template ${from}`);
    await sql.unsafe(`alter database ${from} allow_connections true`);
    await sql.unsafe(`alter database ${to} allow_connections true`);
  }, server.url);

const names = (round: number) => roundChanges(90, round);

/** Writes again and again until it is committed: the connections have been cut. */
const write = (changes: ReturnType<typeof roundChanges>) =>
  until("a commit", async () => {
    const committed = commitChanges(store, "swept", async () => ({ result: undefined, changes }));
    return committed.then(({ sequence }) => sequence).catch(() => undefined);
  });

test.each([
  ["running replicas", false, ["EPOCH_CHANGED"]],
  ["replicas that were stopped meanwhile", true, ["CLIENT_AHEAD", "DIGEST_MISMATCH"]],
])(
  "R2: the database restored to an older state under %s: everybody ends with what it holds, none keeps what was lost",
  async (_how, areStopped, reasons) => {
    const name = new URL(databaseUrl).pathname.slice(1);
    await settled();
    await copyDatabase(name, "saved");
    for (let round = 1; round <= 50; round += 1) await write(names(round));
    const lost = await settled();
    const hellos = readers.map((reader) => reader.hellos.length);
    if (areStopped) await Promise.all(replicas.map((it) => it.stop("SIGKILL")));
    await copyDatabase("saved", name);
    for (let round = 101; round <= (areStopped ? 110 : 103); round += 1) await write(names(round));
    if (areStopped) for (const at of [0, 1, 2]) await startReplica(at);
    // The replicas must see the restored state before their readers can be where it is.
    await delay(3_000);
    const { head, resources } = await settled();
    expect(head.sequence).toBeLessThan(lost.head.sequence);
    const rounds = resources.filter(({ kind }) => kind === "revocation").map(roundOf);
    expect(rounds.filter((round) => round > 100).length).toBeGreaterThan(0);
    const seen = new Set(readers.flatMap((reader, at) => reader.hellos.slice(hellos[at])));
    seen.delete("UNSPECIFIED");
    process.stdout.write(
      `restore: ${lost.head.sequence} → ${head.sequence}, readers came back for ${[...seen].join(", ")}\n`,
    );
    expect([...seen].some((reason) => reasons.includes(reason))).toBe(true);
  },
  300_000,
);
