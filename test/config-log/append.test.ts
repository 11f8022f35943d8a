import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { appendChanges } from "../../server/src/config-log/append.ts";
import { commitChanges } from "../../server/src/config-log/commit.ts";
import { compactLog } from "../../server/src/config-log/compact.ts";
import { ensureHead } from "../../server/src/config-log/epoch.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { EMPTY_DIGEST } from "../../server/src/model/config-digest.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { createKeyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import { keyBytes } from "../../server/src/sealing/sealing-key.ts";
import { configDigestAt, readConfigTransactions } from "../../server/src/store/config-log.ts";
import { getProject } from "../../server/src/store/projects.ts";
import { makeProject, unique } from "../store/rows.ts";
import { describeStores, openTestStore } from "../support/store.ts";
import { commit, databaseState, remove, silent, testKeyring, upsert } from "./changes.ts";

describeStores("the config log", (store) => {
  const start = () => ensureHead({ store: store(), random: systemRandom, log: silent });
  const headSequence = async () => (await databaseState(store())).head.sequence;

  test("cannot be written before it was started", async () => {
    await expect(commit(store(), upsert("a", "1"))).rejects.toMatchObject({ code: "not_ready" });
    const head = await start();
    expect(head).toMatchObject({ sequence: 0n, compactedSequence: 0n, digest: EMPTY_DIGEST });
    expect(await start()).toEqual(head);
  });

  test("has one sequence per transaction, and says for each what changed", async () => {
    const before = await headSequence();
    const [a, b] = [unique("a"), unique("b")];
    expect(await commit(store(), upsert(a, "1"), upsert(b, "1"))).toBe(before + 1n);
    expect(await commit(store(), upsert(a, "2"), remove(b))).toBe(before + 2n);
    const [first, second, ...more] = await store().read((tx) => readConfigTransactions(tx, before, 100));
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      sequence: before + 1n,
      entries: [
        { kind: "secret", name: a },
        { kind: "secret", name: b },
      ],
    });
    expect(second!.entries.map(({ name, payload }) => [name, payload === undefined])).toEqual([
      [a, false],
      [b, true],
    ]);
    expect(second!.entries[0]!.version).toBeGreaterThan(first!.entries[0]!.version);
    const { head, digest } = await databaseState(store());
    expect(head).toMatchObject({ sequence: second!.sequence, digest });
    expect(second!.digest).toEqual(digest);
    expect(await store().read((tx) => configDigestAt(tx, first!.sequence))).toEqual(first!.digest);
  });

  test("does not grow for writes that change nothing", async () => {
    const name = unique("same");
    const sequence = await commit(store(), upsert(name, "1"));
    expect(await commit(store(), upsert(name, "1"))).toBe(sequence);
    expect(await commit(store(), remove(unique("absent")))).toBe(sequence);
    expect(await commit(store())).toBe(sequence);
    expect(await headSequence()).toBe(sequence);
  });

  test("counts only the last of several changes of one resource in one transaction", async () => {
    const name = unique("twice");
    const before = await headSequence();
    await commit(store(), upsert(name, "1"), remove(name), upsert(name, "3"));
    await commit(store(), upsert(name, "4"), remove(name));
    const transactions = await store().read((tx) => readConfigTransactions(tx, before, 100));
    expect(transactions.map(({ entries }) => entries.map(({ payload }) => payload === undefined))).toEqual([
      [false],
      [true],
    ]);
  });

  test("gives a resource made anew a greater version than its namesake had", async () => {
    const name = unique("again");
    const before = await headSequence();
    for (const value of ["1", "2", "3", "4"]) await commit(store(), upsert(name, value));
    await commit(store(), remove(name));
    await commit(store(), upsert(name, "1"));
    const versions = (await store().read((tx) => readConfigTransactions(tx, before, 100))).map(
      ({ entries }) => entries[0]!.version,
    );
    expect(versions).toEqual(versions.toSorted((a, b) => Number(a - b)));
    expect(new Set(versions).size).toBe(versions.length);
  });

  test("and the rows it tells of are written together or not at all", async () => {
    const [name, project] = [unique("rolled-back"), unique("project")];
    const before = await databaseState(store());
    const fails = commitChanges(store(), "swept", async (tx) => {
      await makeProject(tx, project);
      await appendChanges(tx, [upsert(name, "1")]);
      throw new Error("refused");
    });
    await expect(fails).rejects.toThrow("refused");
    expect(await databaseState(store())).toEqual(before);
    const { result, sequence } = await commitChanges(store(), "swept", async (tx) => ({
      result: await makeProject(tx, project),
      changes: [upsert(name, "1")],
    }));
    // The sequence of a refused transaction is used again: there are no gaps.
    expect([result, sequence]).toEqual([project, before.head.sequence + 1n]);
    expect(await store().read((tx) => getProject(tx, project))).toBeDefined();
  });

  test("keeps any bytes and any name", async () => {
    const name = `projects/p/secrets/${unique("ünïcode 'quote\" \\")}`;
    const value = Uint8Array.from({ length: 70_000 }, (_, index) => index & 255);
    const sequence = await commit(store(), upsert(name, value));
    const [transaction] = await store().read((tx) => readConfigTransactions(tx, sequence - 1n, 1));
    expect(transaction!.entries[0]!.name).toBe(name);
    expect(Buffer.from(transaction!.entries[0]!.payload!).includes(Buffer.from(value))).toBe(true);
  });

  test("takes thousands of changes in one transaction", async () => {
    const names = Array.from({ length: 3_000 }, (_, index) => unique(`bulk-${index}`));
    await commit(store(), ...names.map((name) => upsert(name, "1")));
    await commit(store(), ...names.map((name) => remove(name)));
    const { head, digest } = await databaseState(store());
    expect(head.digest).toEqual(digest);
  });

  test("forgets what is old, never what it must keep, and knows the digest where it begins", async () => {
    const keep = { ageMs: -3_600_000, transactionsMin: 3n, transactionsMax: 1_000_000n };
    for (const value of ["1", "2", "3", "4", "5", "6"]) await commit(store(), upsert("compacted", value));
    const { head } = await databaseState(store());
    await compactLog(store(), systemClock, { ...keep, ageMs: 3_600_000 });
    expect((await databaseState(store())).head.compactedSequence).toBe(0n);
    await compactLog(store(), systemClock, keep);
    const after = await databaseState(store());
    expect(after.head).toEqual({ ...head, compactedSequence: head.sequence - 3n });
    const left = await store().read((tx) => readConfigTransactions(tx, after.head.compactedSequence, 100));
    expect(left.map(({ sequence }) => sequence)).toEqual([head.sequence - 2n, head.sequence - 1n, head.sequence]);
    expect(await store().read((tx) => readConfigTransactions(tx, 0n, Number(head.sequence) - 3))).toEqual([]);
    expect(await store().read((tx) => configDigestAt(tx, after.head.compactedSequence))).toHaveLength(32);
    await compactLog(store(), systemClock, keep);
    // However young: the log is bounded.
    await compactLog(store(), systemClock, { ageMs: 3_600_000, transactionsMin: 1n, transactionsMax: 2n });
    expect((await databaseState(store())).head.compactedSequence).toBe(head.sequence - 2n);
  });
});

describe("the order of the log (PostgreSQL)", () => {
  test("is the order of commits, without holes, whoever writes when: every tailer ends where the database is", async () => {
    const store = await openTestStore("postgres");
    await ensureHead({ store, random: systemRandom, log: silent });
    let isDone = false;
    const tailers = [1, 2, 3].map(async () => {
      const state = new Map<string, Uint8Array>();
      let cursor = 0n;
      for (;;) {
        const wasDone = isDone;
        const transactions = await store.read((tx) => readConfigTransactions(tx, cursor, 50));
        for (const { sequence, entries } of transactions) {
          expect(sequence).toBe(cursor + 1n);
          cursor = sequence;
          for (const { name, payload } of entries)
            payload === undefined ? state.delete(name) : state.set(name, payload);
        }
        if (wasDone && transactions.length === 0) return state;
      }
    });
    const writer = async (id: number) => {
      for (let round = 0; round < 25; round += 1) {
        const names = [`r${(id + round) % 7}`, `r${(id * 3 + round) % 7}`, `r${round % 5}`];
        const changes = names.map((name, index) =>
          (round + index) % 4 === 0 ? remove(name) : upsert(name, `${id}.${round}`),
        );
        const write = commitChanges(store, "swept", async (tx) => {
          await tx.execute(sql`select pg_sleep(${(id % 3) / 1_000})`);
          if (round % 10 === 9) {
            await appendChanges(tx, changes);
            throw new Error("rolled back with the head locked");
          }
          return { result: undefined, changes };
        });
        await write.catch((error: Error) => {
          if (!error.message.startsWith("rolled back")) throw error;
        });
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, id) => writer(id)));
    isDone = true;
    const { head, digest, resources } = await databaseState(store);
    expect(head.digest).toEqual(digest);
    for (const state of await Promise.all(tailers))
      expect(state).toEqual(new Map(resources.map(({ name, payload }) => [name, payload])));
    expect(head.sequence).toBeGreaterThan(120n);
    await store.close();
  }, 60_000);
});

describe("the fleet", () => {
  test("is made once, whoever starts first, and comes back with the same key", async () => {
    const store = await openTestStore("postgres");
    const effects = () => ({ keyring: testKeyring(), clock: systemClock, random: systemRandom, version: "0.1.0" });
    const fleets = await Promise.all([1, 2, 3].map(() => openFleet(store, effects())));
    const again = await openFleet(store, effects());
    for (const { installationId, fleetKey } of fleets) {
      expect(installationId).toBe(again.installationId);
      expect(keyBytes(fleetKey)).toEqual(keyBytes(again.fleetKey));
    }
    const other = Buffer.alloc(32, "another master key").toString("base64");
    const keyring = createKeyring(parseMasterKeys(new SecretText(other)), systemRandom);
    const refused = openFleet(store, { ...effects(), keyring });
    await expect(refused).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining("a master key that is still used is missing"),
    });
    await store.close();
  });
});
