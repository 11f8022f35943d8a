import { fromBinary } from "@bufbuild/protobuf";
import { Hello_SnapshotReason, WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { sql } from "drizzle-orm";
import { expect, test, vi } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { compactLog } from "../../server/src/config-log/compact.ts";
import { ensureHead } from "../../server/src/config-log/epoch.ts";
import type { ConfigCursor } from "../../server/src/config-log/resume.ts";
import { systemRandom } from "../../server/src/random.ts";
import { getConfigHead } from "../../server/src/store/config-head.ts";
import { unique } from "../store/rows.ts";
import { describeStores } from "../support/store.ts";
import { commit, databaseState, makeHub, Replica, remove, silent, upsert } from "./changes.ts";
import { helloOf, isSnapshotFor, RESUMED, reach, running, soon, startHub, synced, watch } from "./running-hubs.ts";

describeStores("the hub", (store) => {
  test("says hello at once, then the whole state, then each change as it is committed", async () => {
    const hub = await startHub(store());
    const names = [unique("a"), unique("b")];
    await commit(store(), ...names.map((name) => upsert(name, "1")));
    const replica = new Replica();
    const following = replica.follow(
      watch(hub),
      () => !replica.held.has(`secret ${names[1]}`) && replica.events.length > 2,
    );
    await soon(() => expect(replica.held.size).toBeGreaterThan(1));
    expect(replica.events.slice(0, 2)).toEqual(["hello", "snapshot"]);
    expect(helloOf(replica)).toEqual(isSnapshotFor(Hello_SnapshotReason.COLD_START));
    expect(replica.hello).toMatchObject({ proxy: "proxies/test", epoch: hub.head().epoch });
    expect(replica.hello!.fleetKey).toHaveLength(32);
    expect(replica.hello!.heartbeatInterval!.seconds).toBe(10n);
    expect(hub.isConnected("proxies/test")).toBe(true);
    await commit(store(), upsert(names[0]!, "2"), remove(names[1]!));
    await following;
    expect(replica.digest).toEqual((await databaseState(store())).digest);
    expect(hub.isConnected("proxies/test")).toBe(false);
  });

  test("says that an empty state is empty, and lets a reader that is up to date resume", async () => {
    const hub = await startHub(store());
    const replica = await synced(hub, store());
    const resumed = new Replica();
    Object.assign(resumed, { held: replica.held, ...replica.cursor() });
    const name = unique("later");
    const following = resumed.follow(watch(hub, replica.cursor()), () => resumed.held.has(`secret ${name}`));
    await commit(store(), upsert(name, "1"));
    await following;
    expect(helloOf(resumed)).toEqual(RESUMED);
    expect(resumed.events).toEqual(["hello", "delta"]);
  });

  test("started anew lets readers resume from before its start", async () => {
    const before = await startHub(store());
    const replica = await synced(before, store());
    await before.stop();
    for (const value of ["1", "2", "3"]) await commit(store(), upsert("while-away", value));
    const { head } = await databaseState(store());
    const hub = await startHub(store());
    expect(hub.head().sequence).toBe(head.sequence);
    await replica.follow(watch(hub, replica.cursor()), () => replica.sequence === head.sequence);
    expect(helloOf(replica)).toEqual(RESUMED);
  });

  test("says why a reader cannot resume", async () => {
    const hub = await startHub(store());
    const wanted = await commit(store(), upsert("why", unique("x")));
    await reach(hub, wanted);
    const { sequence, epoch, digest } = hub.head();
    const cases: [ConfigCursor, Hello_SnapshotReason][] = [
      [{ epoch: "other", sequence, digest }, Hello_SnapshotReason.EPOCH_CHANGED],
      [{ epoch, sequence: sequence + 5n, digest }, Hello_SnapshotReason.CLIENT_AHEAD],
      [{ epoch, sequence, digest: digest.map((byte) => byte ^ 1) }, Hello_SnapshotReason.DIGEST_MISMATCH],
    ];
    for (const [cursor, reason] of cases) {
      const replica = new Replica();
      await replica.follow(watch(hub, cursor), () => replica.sequence === sequence);
      expect(helloOf(replica)).toEqual(isSnapshotFor(reason));
      expect(replica.digest).toEqual(digest);
    }
  });

  test("takes a reader that another replica brought further as what it is, not as one from the future", async () => {
    const [ahead, behind] = [await startHub(store()), await startHub(store())];
    const replica = new Replica();
    const name = unique("ahead");
    const following = replica.follow(watch(ahead), () => replica.held.has(`secret ${name}`));
    await commit(store(), upsert(name, "1"));
    await following;
    const resumed = new Replica();
    await resumed.follow(watch(behind, replica.cursor()), () => true);
    expect(helloOf(resumed)).toEqual(RESUMED);
  });

  test("sends away a reader that fell off the ring, and gives it a snapshot when it comes back", async () => {
    const hub = await startHub(store(), { bytesMax: 1_000_000, framesMax: 3 });
    const stream = watch(hub)[Symbol.asyncIterator]();
    const replica = new Replica();
    const { head } = await databaseState(store());
    while (replica.sequence < head.sequence)
      replica.apply(fromBinary(WatchConfigResponseSchema, (await stream.next()).value!));
    for (const value of ["1", "2", "3", "4", "5", "6"]) await commit(store(), upsert("slow", value));
    await reach(hub, head.sequence + 6n);
    await expect(stream.next()).rejects.toMatchObject({ code: "not_ready" });
    const again = new Replica();
    await again.follow(watch(hub, replica.cursor()), () => again.sequence === head.sequence + 6n);
    expect(helloOf(again)).toEqual(isSnapshotFor(Hello_SnapshotReason.TOO_FAR_BEHIND));
  });

  test("ends a stream without an error when its reader goes, at whatever moment", async () => {
    const hub = await startHub(store());
    for (const events of [1, 2]) {
      const reader = new AbortController();
      const replica = new Replica();
      const following = replica.follow(watch(hub, undefined, reader.signal), () => false);
      await soon(() => expect(replica.events.length).toBeGreaterThanOrEqual(events));
      reader.abort();
      await following;
    }
    await soon(() => expect(hub.isConnected("proxies/test")).toBe(false));
  });

  test("sends heartbeats that carry the end of the log and its digest", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const hub = await startHub(store());
    const replica = new Replica();
    const beats = () => replica.events.filter((event) => event === "heartbeat").length;
    const following = replica.follow(watch(hub), () => beats() === 2);
    await soon(() => expect(replica.events).toContain("snapshot"));
    vi.advanceTimersByTime(9_999);
    expect(beats()).toBe(0);
    vi.advanceTimersByTime(1);
    await soon(() => expect(beats()).toBe(1));
    vi.advanceTimersByTime(10_000);
    await following;
    expect(replica.events).toEqual(["hello", "snapshot", "heartbeat", "heartbeat"]);
  });

  test("finds changes by looking when no notification comes", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const hub = await makeHub({ ...store(), onWake: () => () => {} });
    await hub.start();
    running.push(hub);
    const sequence = await commit(store(), upsert("polled", unique("x")));
    expect(hub.head().sequence).toBe(sequence - 1n);
    vi.advanceTimersByTime(1_000);
    await reach(hub, sequence);
  });

  test("goes on behind what was compacted away before it could read it; its readers come back for a snapshot", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const hub = await makeHub({ ...store(), onWake: () => () => {} });
    await hub.start();
    running.push(hub);
    const replica = await synced(hub, store());
    for (const value of ["1", "2", "3", "4"]) await commit(store(), upsert("cut", unique(value)));
    await compactLog(store(), systemClock, { ageMs: -3_600_000, transactionsMin: 1n, transactionsMax: 1_000_000n });
    const { head } = await databaseState(store());
    vi.advanceTimersByTime(1_000);
    await reach(hub, head.sequence);
    await replica.follow(watch(hub, replica.cursor()), () => replica.sequence === head.sequence);
    expect(helloOf(replica)).toEqual(isSnapshotFor(Hello_SnapshotReason.COMPACTED));
    expect(replica.digest).toEqual(head.digest);
  });

  test("drains: what is left, then where to go, then the end", async () => {
    const hub = await startHub(store());
    const replica = new Replica();
    const following = replica.follow(watch(hub), () => false);
    await soon(() => expect(replica.events).toContain("snapshot"));
    const sequence = await commit(store(), upsert("last", unique("x")));
    await soon(() => expect(replica.sequence).toBe(sequence));
    const ended = expect(following).rejects.toMatchObject({ code: "not_ready", kind: { grpc: "unavailable" } });
    await hub.stop();
    await ended;
    expect(replica.events.at(-1)).toBe("drain");
  });

  test("is not there before it was started", async () => {
    const hub = await makeHub(store());
    expect(() => hub.head()).toThrow(expect.objectContaining({ code: "not_ready" }));
    await expect(new Replica().follow(watch(hub), () => true)).rejects.toMatchObject({ code: "not_ready" });
  });

  test("splits a large snapshot into parts a client can receive, and shares it", async () => {
    const hub = await startHub(store());
    const names = Array.from({ length: 40 }, (_, index) => unique(`large-${index}`));
    await reach(hub, await commit(store(), ...names.map((name) => upsert(name, new Uint8Array(100_000).fill(1)))));
    const frames = async () => {
      const seen: Uint8Array[] = [];
      for await (const bytes of watch(hub)) {
        const { event } = fromBinary(WatchConfigResponseSchema, bytes);
        if (event.case !== "snapshot") continue;
        seen.push(bytes);
        if (event.value.last) return seen;
      }
      throw new Error("the snapshot did not end");
    };
    const [first, second] = await Promise.all([frames(), frames()]);
    expect(first.length).toBeGreaterThan(3);
    for (const bytes of first) expect(bytes.length).toBeLessThan(1.2 * 1024 * 1024);
    expect(first.every((bytes, index) => bytes === second[index])).toBe(true);
    await commit(store(), ...names.map((name) => remove(name)));
  });
});

describeStores("a database put back to an older state", (store) => {
  const TABLES = ["config_head", "config_tx", "config_log", "config_current"];
  const each = (act: (table: string) => string) =>
    store().transaction(async (tx) => {
      for (const table of TABLES) await tx.execute(sql.raw(act(table)));
    });
  const backUp = async () => {
    await each((table) => `drop table if exists saved_${table}`);
    await each((table) => `create table saved_${table} as table ${table}`);
  };
  const restore = async () => {
    await each((table) => `delete from ${table}`);
    await each((table) => `insert into ${table} select * from saved_${table}`);
  };

  test("begins a new epoch under a running replica, and every reader ends with what the database holds", async () => {
    const hub = await startHub(store());
    await commit(store(), upsert("kept", "1"));
    await backUp();
    for (const value of ["1", "2", "3"]) await commit(store(), upsert(`lost-${value}`, value));
    const replica = await synced(hub, store());
    const lost = new Replica();
    const ended = expect(lost.follow(watch(hub), () => false)).rejects.toMatchObject({ code: "not_ready" });
    await soon(() => expect(lost.sequence).toBe(replica.sequence));
    const { epoch } = hub.head();
    await restore();
    await ended;
    await soon(() => expect(hub.head().epoch).not.toBe(epoch));
    await replica.follow(watch(hub, replica.cursor()), () => replica.events.at(-1) === "snapshot");
    expect(helloOf(replica)).toEqual(isSnapshotFor(Hello_SnapshotReason.EPOCH_CHANGED));
    const { digest, head } = await databaseState(store());
    expect(replica.digest).toEqual(digest);
    expect([...replica.held.keys()]).toEqual(["secret kept"]);
    expect(head.epoch).toBe(hub.head().epoch);
  });

  test("is noticed even when it has grown past the old end again", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const hub = await makeHub({ ...store(), onWake: () => () => {} });
    await hub.start();
    running.push(hub);
    await backUp();
    for (const value of ["1", "2", "3"]) await commit(store(), upsert(`lost-${value}`, value));
    vi.advanceTimersByTime(1_000);
    const replica = await synced(hub, store());
    await reach(hub, replica.sequence);
    const { epoch } = hub.head();
    await restore();
    for (const value of ["4", "5", "6", "7"]) await commit(store(), upsert(`new-${value}`, value));
    const other = await startHub(store());
    // A replica that never saw the lost part cannot know; the reader's digest tells.
    const lost = new Replica();
    await lost.follow(watch(other, replica.cursor()), () => lost.events.at(-1) === "snapshot");
    expect(helloOf(lost)).toEqual(isSnapshotFor(Hello_SnapshotReason.DIGEST_MISMATCH));
    vi.advanceTimersByTime(1_000);
    await soon(() => expect(hub.head().epoch).not.toBe(epoch));
    await replica.follow(watch(hub, replica.cursor()), () => replica.events.at(-1) === "snapshot");
    expect(helloOf(replica)).toEqual(isSnapshotFor(Hello_SnapshotReason.EPOCH_CHANGED));
    const { digest } = await databaseState(store());
    for (const reader of [lost, replica]) expect(reader.digest).toEqual(digest);
  });

  test("in another cluster or on another timeline begins a new epoch at the next start", async () => {
    const effects = { store: store(), random: systemRandom, log: silent };
    const before = await ensureHead(effects);
    expect((await ensureHead(effects)).epoch).toBe(before.epoch);
    for (const change of ["system_identifier = 'another'", "timeline = timeline + 1"]) {
      const { epoch } = (await store().read((tx) => getConfigHead(tx)))!;
      await store().transaction((tx) => tx.execute(sql.raw(`update config_head set ${change}`)));
      const after = await ensureHead(effects);
      expect(after.epoch).not.toBe(epoch);
      expect(after).toMatchObject({
        systemIdentifier: before.systemIdentifier,
        timeline: before.timeline,
        sequence: before.sequence,
      });
    }
  });
});
