import { expect, it } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { createAuditLedger } from "../../server/src/control/audit-ledger.ts";
import type { AuditEvent } from "../../server/src/model/audit-event.ts";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import type { Store } from "../../server/src/store/store.ts";
import { openTestStore } from "../support/store.ts";

const eventOf = (requestId: string): AuditEvent => ({
  ...{ timeMs: 1_700_000_000_000, actor: "apiKeys/k", action: "TokenService.MintToken", resource: "projects/p" },
  ...{ requestId, clientAddress: "", details: {} },
});

it("deeds at once share transactions; each is told of its commit, or that there was none", async () => {
  const store = await openTestStore("postgres");
  let transactions = 0;
  let isBroken = false;
  const counted: Store = {
    ...store,
    statement: (fn) => {
      transactions += 1;
      return isBroken ? Promise.reject(new Error("no database")) : store.statement(fn);
    },
  };
  const ledger = createAuditLedger(counted, systemClock);
  await Promise.all(Array.from({ length: 50 }, (_, index) => ledger.write([eventOf(`${index}`)])));
  expect(transactions).toBe(1);
  const committed = await store.read((reader) => reader.select().from(auditRecords));
  expect(new Set(committed.map(({ requestId }) => requestId)).size).toBe(50);
  isBroken = true;
  const failed = await Promise.allSettled([ledger.write([eventOf("x")]), ledger.write([eventOf("y")])]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isBroken = false;
  await ledger.write([eventOf("z")]);
  expect(await store.read((reader) => reader.select().from(auditRecords))).toHaveLength(51);
  await store.close();
});
