import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inspect } from "node:util";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../server/src/clock.ts";
import { ExitError } from "../../server/src/model/exit.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { databaseSettings } from "../../server/src/settings.ts";
import { lockDirectory } from "../../server/src/store/directory-lock.ts";
import { openStore, type StoreLocation } from "../../server/src/store/open.ts";
import { PGLITE_MAJOR_VERSION } from "../../server/src/store/open-pglite.ts";
import { getProject } from "../../server/src/store/projects.ts";
import { createDatabase } from "../support/postgres.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";
import { makeProject } from "./rows.ts";

const open = (location: StoreLocation) => openStore(location, { clock: systemClock, random: systemRandom });
const openUrl = (url: string) => open({ kind: "postgres", url: new SecretText(url) });
const failureOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  );
const IN_USE = { exitCode: 3, message: expect.stringContaining("in use") };

describe("a data directory", () => {
  test("is made, kept, and opened again with what was written", async () => {
    const dataDir = join(tmpDirOfTest(), "a", "b");
    const first = await open({ kind: "pglite", dataDir });
    await first.transaction((tx) => makeProject(tx, "kept"));
    expect(readFileSync(join(dataDir, "pglite/PG_VERSION"), "utf8").trim()).toBe(PGLITE_MAJOR_VERSION);
    await first.close();
    expect(readdirSync(dataDir)).toEqual(["pglite"]);
    const second = await open({ kind: "pglite", dataDir });
    expect(await second.read((tx) => getProject(tx, "kept"))).toBeDefined();
    await second.close();
  }, 60_000);

  test("in use by another process is refused; after that process was killed it opens, with all it had acknowledged", async () => {
    const dataDir = tmpDirOfTest();
    const child = spawn(
      process.execPath,
      ["--conditions=conduit-source", join(import.meta.dirname, "hold-directory.ts"), dataDir],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    for await (const line of createInterface({ input: child.stdout })) if (line === "acknowledged") break;
    expect(await failureOf(open({ kind: "pglite", dataDir }))).toMatchObject(IN_USE);
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await open({ kind: "pglite", dataDir });
    expect(await store.read((tx) => getProject(tx, "acknowledged"))).toBeDefined();
    await store.close();
  }, 60_000);

  test("of a newer version is refused, and left as it is", async () => {
    const dataDir = tmpDirOfTest();
    const store = await open({ kind: "pglite", dataDir });
    const future = sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('future', 9999999999999)`;
    await store.transaction((tx) => tx.execute(future));
    await store.close();
    for (const _again of [1, 2]) {
      const failure = await failureOf(open({ kind: "pglite", dataDir }));
      expect(failure).toMatchObject({ exitCode: 3, message: expect.stringContaining("newer version") });
    }
  }, 60_000);

  test("of another PostgreSQL is refused before anything touches it", async () => {
    const dataDir = tmpDirOfTest();
    const folder = join(dataDir, "pglite");
    await (await open({ kind: "pglite", dataDir })).close();
    writeFileSync(join(folder, "PG_VERSION"), "19\n");
    const failure = await failureOf(open({ kind: "pglite", dataDir }));
    expect(failure).toMatchObject({ exitCode: 3, message: expect.stringContaining("newer version") });
  }, 60_000);
});

describe("the lock of a data directory", () => {
  const take = (path: string, clock: Clock = systemClock) => lockDirectory(path, "/data", clock);
  const elsewhere = { pid: 1, start: "1", system: "another boot or container" };

  test("is held once, and free again when released", () => {
    const path = join(tmpDirOfTest(), "lock");
    const lock = take(path);
    expect(() => take(path)).toThrow(expect.objectContaining(IN_USE));
    lock.release();
    take(path).release();
  });

  test("of a process that is gone, or whose number another process has now, is taken over", () => {
    const path = join(tmpDirOfTest(), "lock");
    const lock = take(path);
    const holder = JSON.parse(readFileSync(path, "utf8"));
    lock.release();
    writeFileSync(path, JSON.stringify({ ...holder, pid: 2 ** 22 + 1 }));
    take(path).release();
    writeFileSync(path, JSON.stringify({ ...holder, start: "7" }));
    take(path).release();
  });

  test("cut short by a crash is taken over", () => {
    const path = join(tmpDirOfTest(), "lock");
    writeFileSync(path, '{"pid":');
    take(path).release();
  });

  test("of another container is respected while it gives signs of life, and taken over after", () => {
    const path = join(tmpDirOfTest(), "lock");
    writeFileSync(path, JSON.stringify(elsewhere));
    utimesSync(path, 1_000, 1_000);
    const at = (seconds: number): Clock => ({ now: () => seconds * 1_000, monotonic: () => 0 });
    expect(() => take(path, at(1_020))).toThrow(expect.objectContaining(IN_USE));
    take(path, at(1_031)).release();
  });
});

describe("DATABASE_URL", () => {
  const PASSWORD = "canary-pass-91c";
  const expectRefusal = async (url: string, exitCode: number, text: string) => {
    const failure = await failureOf(openUrl(url));
    expect(failure).toBeInstanceOf(ExitError);
    expect(failure).toMatchObject({ exitCode, message: expect.stringContaining(text) });
    expect(inspect(failure, { depth: 10 })).not.toContain(PASSWORD);
  };

  test.each([
    "",
    "localhost",
    `postgres://u:${PASSWORD}@`,
    `mysql://u:${PASSWORD}@h/db`,
    `postgres://u:${PASSWORD}@h:port/db`,
  ])("%# that is none is refused without showing it", (url) => expectRefusal(url, 2, "DATABASE_URL: give postgres://"));

  test("through a pooler is refused with the name of the URL that is wrong", async () => {
    const url = new SecretText(await createDatabase());
    const openBoth = (pooled: SecretText, listenUrl: SecretText) =>
      openStore({ kind: "postgres", url: pooled, listenUrl }, { clock: systemClock, random: systemRandom });
    const away = new SecretText(`postgres://u:${PASSWORD}@127.0.0.1:1/db`);
    expect(await failureOf(openBoth(away, url))).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/^DATABASE_URL: no/),
    });
    expect(await failureOf(openBoth(url, away))).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/^DATABASE_LISTEN_URL: no/),
    });
  });

  test("and its pool are settings, named when they are wrong", () => {
    const read = (environment: Record<string, string>) => databaseSettings({ ...environment });
    expect(read({})).toBeUndefined();
    expect(read({ DATABASE_URL: "postgres://h/d", DATABASE_POOL_SIZE: "25" })).toMatchObject({ poolSize: 25 });
    expect(() => read({ DATABASE_LISTEN_URL: "postgres://h/d" })).toThrow(/^DATABASE_LISTEN_URL: give DATABASE_URL/);
    for (const size of ["0", "501", "x", "-1", "1e2"])
      expect(() => read({ DATABASE_URL: "postgres://h/d", DATABASE_POOL_SIZE: size })).toThrow(/^DATABASE_POOL_SIZE/);
  });

  test("where nobody listens, or someone else, says where", async () => {
    const port = new URL(await createDatabase()).port;
    await expectRefusal(`postgres://u:${PASSWORD}@127.0.0.1:1/db`, 5, "127.0.0.1:1 (ECONNREFUSED)");
    const rude = createServer((socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")));
    rude.listen(0, "127.0.0.1");
    await once(rude, "listening");
    const { port: rudePort } = rude.address() as { port: number };
    await expectRefusal(`postgres://u:${PASSWORD}@127.0.0.1:${rudePort}/db`, 5, `127.0.0.1:${rudePort}`);
    rude.close();
    await expectRefusal(`postgres://postgres:${PASSWORD}@127.0.0.1:${port}/absent`, 2, "has no database of this name");
    await expectRefusal(`postgres://nobody:${PASSWORD}@127.0.0.1:${port}/postgres`, 2, "refuses this user");
  });

  test("of a user who may not create tables says so", async () => {
    const url = new URL(await createDatabase());
    const admin = postgres(url.href, { max: 1 });
    await admin.unsafe(`create role poor${process.pid} login`);
    await admin.end();
    url.username = `poor${process.pid}`;
    await expectRefusal(url.href, 3, "may not create tables");
  });

  test("of a database that a newer version made is refused", async () => {
    const url = await createDatabase();
    const store = await openUrl(url);
    const future = sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('future', 9999999999999)`;
    await store.transaction((tx) => tx.execute(future));
    await store.close();
    await expectRefusal(url, 3, "newer version");
  });

  test("is brought up to date once by replicas that start together", async () => {
    const url = await createDatabase();
    const stores = await Promise.all([1, 2, 3, 4].map(() => openUrl(url)));
    const count = sql`select count(*)::int as count from drizzle.__drizzle_migrations`;
    const [rows] = await Promise.all(stores.map((store) => store.read((tx) => tx.execute(count))));
    expect([...(rows as unknown as Iterable<unknown>)]).toEqual([{ count: readJournal().length }]);
    await Promise.all(stores.map((store) => store.close()));
  });
});

test("the journal of migrations only grows: drizzle skips what is older than the newest applied", () => {
  const entries = readJournal();
  const times = entries.map(({ when }) => when);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  for (const { tag } of entries) expect(readFileSync(`server/src/store/migrations/${tag}.sql`, "utf8")).not.toBe("");
});

function readJournal(): ReadonlyArray<{ readonly tag: string; readonly when: number }> {
  return JSON.parse(readFileSync("server/src/store/migrations/meta/_journal.json", "utf8")).entries;
}
