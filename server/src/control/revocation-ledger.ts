import { appendChanges } from "../config-log/append.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import { ConduitError } from "../model/errors.ts";
import { revocationName } from "../model/resource-name.ts";
import { recordAudit } from "../store/audit.ts";
import type { Tx } from "../store/database.ts";
import { existingProjects } from "../store/projects.ts";
import { insertRevocations, type RevocationRow } from "../store/revocations.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";
import { type NewRevocation, revocationRowOf, revocationUpsert } from "./revocation-write.ts";

/** A revocation that is wanted, checked, with what the audit trail is to tell of it. */
export interface WantedRevocation {
  readonly revocation: NewRevocation;
  readonly event: AuditEvent;
}

/** A revocation that is committed. */
export interface WrittenRevocation {
  readonly row: RevocationRow;
  /** Sequence of the configuration that holds it. */
  readonly sequence: bigint;
}

/** Writes revocations that go with nothing else. */
export interface RevocationLedger {
  /**
   * Resolves when it is committed.
   * @throws ConduitError `resource_not_found` (the project), `resource_exists`; others in the same transaction are written
   */
  write(wanted: WantedRevocation): Promise<WrittenRevocation>;
}

type Outcome = WrittenRevocation | ConduitError;

/**
 * Revocations that come at once share a transaction (group commit): the log's head is locked once for all of them, and the
 * proxies get one change. The first one goes at once; nobody waits longer than for the transaction before.
 */
export function createRevocationLedger(store: Store): RevocationLedger {
  const write = groupCalls((wanted: readonly WantedRevocation[]) => store.transaction((tx) => writeAll(tx, wanted)));
  return {
    async write(wanted) {
      const outcome = (await write(wanted)).get(wanted);
      if (outcome === undefined) throw new TypeError("a revocation without an outcome");
      if (outcome instanceof ConduitError) throw outcome;
      return outcome;
    },
  };
}

async function writeAll(tx: Tx, wanted: readonly WantedRevocation[]): Promise<ReadonlyMap<WantedRevocation, Outcome>> {
  const outcomes = new Map<WantedRevocation, Outcome>();
  const byName = new Map<string, WantedRevocation>();
  const projects = new Set(await existingProjects(tx, [...new Set(wanted.map((it) => it.revocation.project))]));
  for (const it of wanted) {
    const name = revocationName(it.revocation.project, it.revocation.id);
    if (!projects.has(it.revocation.project)) outcomes.set(it, new ConduitError("resource_not_found"));
    else if (byName.has(name)) outcomes.set(it, new ConduitError("resource_exists"));
    else byName.set(name, it);
  }
  // In one order on every replica, so that nobody waits in a circle for an id that two have chosen.
  const sorted = [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
  const rows = await insertRevocations(
    tx,
    sorted.map(({ revocation, event }) => revocationRowOf(revocation, event.timeMs)),
  );
  const made = new Map(rows.map((row) => [revocationName(row.project, row.id), row]));
  const written = [...byName].filter(([name]) => made.has(name)).map(([, it]) => it);
  if (written.length > 0) await recordAudit(tx, ...written.map(({ event }) => event));
  const sequence = await appendChanges(
    tx,
    written.map(({ revocation }) => revocationUpsert(revocation)),
  );
  for (const [name, it] of byName) {
    const row = made.get(name);
    outcomes.set(it, row === undefined ? new ConduitError("resource_exists") : { row, sequence });
  }
  return outcomes;
}
