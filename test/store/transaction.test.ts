import { inspect } from "node:util";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { describe, expect, test, vi } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { openStore } from "../../server/src/store/open.ts";
import { getProject, insertProject, listProjects, lockProject } from "../../server/src/store/projects.ts";
import { insertSecret } from "../../server/src/store/secrets.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createDatabase } from "../support/postgres.ts";
import { describeStores, openTestStore } from "../support/store.ts";
import { makeProject, secretRow, unique } from "./rows.ts";

const CANARY = "canary-6f1d2a";
const failureOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  );
/** Everything a log could print of an error, its causes included. */
const printed = (error: unknown) => `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`;

describeStores("a statement of its own", (store, kind) => {
  test("is committed when it has run; a second one would be another transaction, and fails", async () => {
    const one = unique("project");
    const columns = {
      displayName: "",
      issuer: "https://c.example/p/x",
      createTime: new Date(0),
      updateTime: new Date(0),
    };
    await store().statement((tx) => insertProject(tx, { id: one, ...columns }));
    expect(await store().read((reader) => getProject(reader, one))).toBeDefined();
    if (kind === "pglite") return;
    const twice = store().statement(async (tx) => {
      await getProject(tx, one);
      await insertProject(tx, { id: unique("project"), ...columns });
    });
    expect(await failureOf(twice)).toMatchObject({ code: "internal" });
  });
});

describeStores("a transaction", (store) => {
  test("that throws leaves nothing, and what it threw comes out as it was", async () => {
    const id = unique("project");
    const thrown = new RangeError("mine");
    const failure = await failureOf(
      store().transaction(async (tx) => {
        await makeProject(tx, id);
        throw thrown;
      }),
    );
    expect(failure).toBe(thrown);
    expect(await store().read((tx) => getProject(tx, id))).toBeUndefined();
  });

  test("inside another one is refused at once instead of waiting for ever", async () => {
    const inner: (() => Promise<unknown>)[] = [
      () => store().transaction(async () => 0),
      () => store().read(async () => 0),
      () => store().readSnapshot(async () => 0),
      () => store().ping(),
    ];
    for (const call of inner) await expect(store().transaction(() => call())).rejects.toThrow(TypeError);
    await expect(store().readSnapshot(() => store().ping())).rejects.toThrow(TypeError);
    await store().ping();
  });

  test("that only reads a snapshot cannot write", async () => {
    const failure = await failureOf(store().readSnapshot(async (tx) => makeProject(tx as never)));
    expect(failure).toBeInstanceOf(ConduitError);
  });

  test("keeps no value in the errors of its statements", async () => {
    const project = await store().transaction((tx) => makeProject(tx));
    const attempts = [
      // Not null, foreign key, unique, bad text, syntax: each names values in the driver's own words.
      insertSecretWith({ displayName: null as never, fingerprint: CANARY }),
      insertSecretWith({ project: CANARY, fingerprint: CANARY }),
      insertSecretWith({ displayName: `${CANARY}\u0000` }),
      insertSecretWith({ createTime: CANARY as never }),
      failureOf(store().transaction((tx) => tx.execute(sql`select ${CANARY}::int`))),
      failureOf(store().read((tx) => tx.execute(sql`select * from absent where x = ${CANARY}`))),
    ];
    for (const failure of await Promise.all(attempts)) {
      expect(failure).toBeInstanceOf(Error);
      expect(printed(failure)).not.toContain(CANARY);
    }
    function insertSecretWith(change: Partial<ReturnType<typeof secretRow>>) {
      return failureOf(store().transaction((tx) => insertSecret(tx, { ...secretRow(project), ...change })));
    }
  });

  test("refuses text that cannot be stored as the caller's fault", async () => {
    const failure = await failureOf(store().transaction((tx) => makeProject(tx, "nul\u0000")));
    expect(failure).toMatchObject({ code: "field_invalid" });
  });

  test("wakes who waits for the configuration after its commit, not after a rollback", async () => {
    const wake = vi.fn();
    const stop = store().onWake(wake);
    await failureOf(
      store().transaction(async (tx) => {
        await tx.execute(sql`select pg_notify('conduit_config', '')`);
        throw new Error("no");
      }),
    );
    await store().ping();
    expect(wake).not.toHaveBeenCalled();
    await store().transaction((tx) => tx.execute(sql`select pg_notify('conduit_config', '')`));
    await vi.waitFor(() => expect(wake).toHaveBeenCalled());
    stop();
    wake.mockClear();
    await store().transaction((tx) => tx.execute(sql`select pg_notify('conduit_config', '')`));
    await store().ping();
    expect(wake).not.toHaveBeenCalled();
  });
});

describe("a closed store", () => {
  test.each(["pglite", "postgres"] as const)("says that the database is away (%s)", async (kind) => {
    const store = await openTestStore(kind);
    await store.close();
    const failures = [
      await failureOf(store.ping()),
      await failureOf(store.transaction((tx) => makeProject(tx))),
      await failureOf(store.read((tx) => listProjects(tx, "", 1))),
    ];
    for (const failure of failures) expect(failure).toMatchObject({ code: "store_unavailable" });
  });
});

describe("on PostgreSQL", () => {
  const open = (url: string): Promise<Store> =>
    openStore({ kind: "postgres", url: new SecretText(url) }, { clock: systemClock, random: systemRandom });

  test("transactions that block each other are run again until each has its turn", async () => {
    await using store = disposable(await openTestStore("postgres"));
    const ids = await store.transaction(async (tx) => [await makeProject(tx), await makeProject(tx)]);
    let runs = 0;
    // Each takes one lock, waits until the other has the other one, then asks for it: a deadlock on the first run.
    const meeting = Promise.withResolvers<void>();
    const crossing = (own: string, other: string) =>
      store.transaction(async (tx) => {
        await lockProject(tx, own);
        runs += 1;
        if (runs >= 2) meeting.resolve();
        await meeting.promise;
        await lockProject(tx, other);
      });
    await Promise.all([crossing(ids[0]!, ids[1]!), crossing(ids[1]!, ids[0]!)]);
    expect(runs).toBe(3);
  });

  test("a connection lost in the middle is a database that is away; the next call has a new one", async () => {
    const url = await createDatabase();
    await using store = disposable(await open(url));
    const id = unique("project");
    const failure = await failureOf(
      store.transaction(async (tx) => {
        await makeProject(tx, id);
        await terminate(url, "client backend");
        await makeProject(tx);
      }),
    );
    expect(failure).toMatchObject({ code: "store_unavailable" });
    expect(await store.read((tx) => getProject(tx, id))).toBeUndefined();
  });

  test("a listener that lost its connection wakes again by itself, and hears what comes after", async () => {
    const url = await createDatabase();
    await using store = disposable(await open(url));
    const wake = vi.fn();
    store.onWake(wake);
    await terminate(url, "client backend");
    await vi.waitFor(() => expect(wake).toHaveBeenCalled(), 5_000);
    wake.mockClear();
    await store.transaction((tx) => tx.execute(sql`select pg_notify('conduit_config', '')`));
    await vi.waitFor(() => expect(wake).toHaveBeenCalled(), 5_000);
  });

  /** Ends every other session of the database. */
  async function terminate(url: string, type: string): Promise<void> {
    const admin = postgres(url, { max: 1 });
    await admin`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and backend_type = ${type} and pid <> pg_backend_pid()`;
    await admin.end();
  }
});

const disposable = (store: Store): Store & AsyncDisposable => ({
  ...store,
  [Symbol.asyncDispose]: () => store.close(),
});
