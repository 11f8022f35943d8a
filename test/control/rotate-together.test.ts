import { expect, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { createAuditLedger } from "../../server/src/control/audit-ledger.ts";
import { systemRandom } from "../../server/src/random.ts";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import {
  endSession,
  getSessions,
  insertSessions,
  lockSession,
  type Rotation,
} from "../../server/src/store/sessions.ts";
import type { Store } from "../../server/src/store/store.ts";
import { makeProject, TIME } from "../store/rows.ts";
import { describeStores } from "../support/store.ts";

describeStores("rotations that come at once", (store, kind) => {
  test("S20: each session has one successor and one record; what has changed meanwhile is left alone", async () => {
    const [twice = "", once = "", ended = "", older = ""] = await openSessions(store(), 4);
    await store().transaction((tx) => endSession(tx, ended, "signed_out", TIME));
    const ledger = createAuditLedger(store(), systemClock);
    const wanted = [of(twice, 0), of(twice, 0), of(once, 0), of(ended, 0), of(older, 7)];
    const [first, second, ...others] = await Promise.all(wanted.map((rotation) => ledger.rotate(rotation)));
    expect([first, second].sort()).toEqual([false, true]);
    expect(others).toEqual([true, false, false]);
    expect(await counters(store(), [twice, once, ended, older])).toEqual([1, 1, 0, 0]);
    const [row] = await store().read((reader) => getSessions(reader, [twice]));
    const winner = first === true ? wanted[0] : wanted[1];
    expect(row).toMatchObject({ attemptId: winner?.attemptId, rotateTime: TIME });
    expect(await recorded(store(), wanted)).toEqual([winner?.event.requestId, wanted[2]?.event.requestId].sort());
  });

  test.runIf(kind === "postgres")("a session that somebody holds does not hold up the others", async () => {
    const [held = "", free = ""] = await openSessions(store(), 2);
    const ledger = createAuditLedger(store(), systemClock);
    const holding = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const holder = store().transaction(async (tx) => {
      await lockSession(tx, held);
      holding.resolve();
      await release.promise;
    });
    await holding.promise;
    expect(await Promise.all([ledger.rotate(of(held, 0)), ledger.rotate(of(free, 0))])).toEqual([false, true]);
    release.resolve();
    await holder;
    expect(await ledger.rotate(of(held, 0))).toBe(true);
  });
});

function of(id: string, counter: number): Rotation {
  const requestId = systemRandom.uuid();
  const event = {
    ...{ timeMs: TIME.getTime(), actor: `projects/p/sessions/${id}`, action: "TokenService.RefreshToken" },
    ...{ resource: `projects/p/sessions/${id}`, requestId, clientAddress: "", details: {} },
  };
  return { session: { id, counter }, attemptId: requestId, event };
}

/** Ids of new sessions. */
async function openSessions(store: Store, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => systemRandom.uuid());
  await store.transaction(async (tx) => {
    const project = await makeProject(tx);
    const row = {
      ...{ project, subject: "u", clientId: "k", links: [], scope: "", deviceLabel: "", content: "{}" },
      ...{ accessLifetimeMs: null, accessLifetimeMaxMs: null, sealedRefreshKey: new Uint8Array(8) },
      ...{ idleLifetimeMs: 60_000, absoluteExpireTime: TIME, createTime: TIME },
    };
    await insertSessions(
      tx,
      ids.map((id) => ({ ...row, id })),
    );
  });
  return ids;
}

async function counters(store: Store, ids: readonly string[]): Promise<Array<number | undefined>> {
  const rows = await store.read((reader) => getSessions(reader, ids));
  return ids.map((id) => rows.find((row) => row.id === id)?.counter);
}

/** Request ids of these rotations that have a record. */
async function recorded(store: Store, rotations: readonly Rotation[]): Promise<string[]> {
  const rows = await store.read((reader) => reader.select().from(auditRecords));
  const known = new Set(rotations.map(({ event }) => event.requestId));
  return rows
    .map(({ requestId }) => requestId)
    .filter((id) => known.has(id))
    .sort();
}
