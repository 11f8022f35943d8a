import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureHead } from "../../server/src/config-log/epoch.ts";
import { createRevocationLedger } from "../../server/src/control/revocation-ledger.ts";
import { revocationName } from "../../server/src/model/resource-name.ts";
import { revocationStreamName } from "../../server/src/model/revocation.ts";
import { systemRandom } from "../../server/src/random.ts";
import { readConfigTransactions } from "../../server/src/store/config-log.ts";
import { listRevocations } from "../../server/src/store/revocations.ts";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import type { Store } from "../../server/src/store/store.ts";
import { databaseState, silent } from "../config-log/changes.ts";
import { makeProject, unique } from "../store/rows.ts";
import { openTestStore } from "../support/store.ts";

const NOW_MS = Date.UTC(2026, 10, 25, 12);
const wanted = (project: string, id: string) => ({
  revocation: {
    ...{ project, id, reason: "", expireTimeMs: NOW_MS + 60_000 },
    target: { kind: "token", project, id: `jti-${id}` } as const,
  },
  event: {
    ...{ timeMs: NOW_MS, actor: "apiKeys/test", action: "Test.Revoke", requestId: "", clientAddress: "", details: {} },
    resource: revocationName(project, id),
  },
});

let opened: Store;
const store = () => opened;
beforeAll(async () => {
  opened = await openTestStore("postgres");
}, 60_000);
afterAll(() => opened.close());

describe("revocations that come at once", () => {
  it("share transactions, and each caller is answered when its own is committed", async () => {
    await ensureHead({ store: store(), random: systemRandom, log: silent });
    const project = await store().transaction((tx) => makeProject(tx, unique("burst")));
    let transactions = 0;
    const counted: Store = {
      ...store(),
      transaction: (fn) => {
        transactions += 1;
        return store().transaction(fn);
      },
    };
    const ledger = createRevocationLedger(counted);
    const ids = Array.from({ length: 300 }, (_, at) => `r-${String(at).padStart(3, "0")}`);
    const before = (await databaseState(store())).head.sequence;
    const answers = await Promise.all(
      ids.map(async (id) => {
        const { row, sequence } = await ledger.write(wanted(project, id));
        // Acknowledged means committed: another connection sees it in the log at that sequence.
        const [change] = await store().read((reader) => readConfigTransactions(reader, sequence - 1n, 1));
        const names = change!.entries.map(({ name }) => name);
        return { id: row.id, isThere: names.includes(revocationStreamName(revocationName(project, id))) };
      }),
    );
    expect(answers).toEqual(ids.map((id) => ({ id, isThere: true })));
    expect(transactions).toBeLessThan(10);
    const { head, digest } = await databaseState(store());
    expect(head.sequence - before).toBe(BigInt(transactions));
    expect(head.digest).toEqual(digest);
    const stored = await store().read((reader) => listRevocations(reader, project, new Date(NOW_MS), "", 1_000));
    expect(stored.map(({ id }) => id)).toEqual(ids);
  });

  it("fail one by one: a taken id and a project that is not there harm nobody else, and leave nothing behind", async () => {
    await ensureHead({ store: store(), random: systemRandom, log: silent });
    const project = await store().transaction((tx) => makeProject(tx, unique("mixed")));
    const ledger = createRevocationLedger(store());
    await ledger.write(wanted(project, "taken"));
    const outcomes = await Promise.allSettled([
      ledger.write(wanted(project, "first")),
      ledger.write(wanted(project, "taken")),
      ledger.write(wanted("nowhere", "lost")),
      ledger.write(wanted(project, "twin")),
      ledger.write(wanted(project, "twin")),
      ledger.write(wanted(project, "last")),
    ]);
    const codes = outcomes.map((it) => (it.status === "fulfilled" ? "written" : it.reason.code));
    expect(codes).toEqual([
      "written",
      "resource_exists",
      "resource_not_found",
      "written",
      "resource_exists",
      "written",
    ]);
    const stored = await store().read((reader) => listRevocations(reader, project, new Date(NOW_MS), "", 100));
    expect(stored.map(({ id }) => id)).toEqual(["first", "last", "taken", "twin"]);
    const told = await store().read((reader) => reader.select().from(auditRecords));
    expect(
      told
        .map(({ resource }) => resource)
        .filter((name) => name.includes(project))
        .sort(),
    ).toEqual(["first", "last", "taken", "twin"].map((id) => revocationName(project, id)));
  });
});
