import type { Clock } from "../clock.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import { recordAudit } from "../store/audit.ts";
import { type Rotation, rotateUnchanged } from "../store/sessions.ts";
import { recordAuditIfStanding, type Standing, type StandingRow } from "../store/standing-rows.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** Writes down the deeds that come most, so that those which come at once share a transaction (group commit). */
export interface AuditLedger {
  /**
   * Deeds that change nothing else, such as a mint without a session. Resolves when the records are committed: answer with
   * the deed only then. Rejects when they are not.
   */
  write(events: readonly AuditEvent[]): Promise<void>;
  /** The same for deeds that rest on what was read before; false = not all of it is true any more, and nothing was written. */
  writeIfStanding(deed: StandingDeed): Promise<boolean>;
  /** Rotates a session, if it is still as it was read; false = it is not, or is being changed, and nothing was done. */
  rotate(rotation: Rotation): Promise<boolean>;
}

/** Something done, and what it rests on. */
export interface StandingDeed extends Standing {
  readonly events: readonly AuditEvent[];
}

export function createAuditLedger(store: Store, clock: Clock): AuditLedger {
  const rotateAll = groupCalls(async (rotations: readonly Rotation[]) => {
    const rotated = await store.statement((tx) => rotateUnchanged(tx, rotations));
    return new Set(rotations.filter((_rotation, at) => rotated.has(at)));
  });
  return {
    write: groupCalls((entries: ReadonlyArray<readonly AuditEvent[]>) =>
      store.statement((tx) => recordAudit(tx, ...entries.flat())),
    ),
    // Where one does not stand all are told no: they read and write again, which is rare.
    writeIfStanding: groupCalls((deeds: readonly StandingDeed[]) => {
      const events = deeds.flatMap((deed) => deed.events);
      return store.statement((tx) => recordAuditIfStanding(tx, events, standingOf(deeds), new Date(clock.now())));
    }),
    rotate: async (rotation) => (await rotateAll(rotation)).has(rotation),
  };
}

/** What all of them rest on, each row and key once. */
function standingOf(deeds: readonly StandingDeed[]): Standing {
  const rows = new Map<string, StandingRow>();
  for (const row of deeds.flatMap((deed) => deed.rows)) rows.set(`${row.table} ${row.id} ${row.version}`, row);
  return {
    rows: [...rows.values()],
    targetKeys: [...new Set(deeds.flatMap((deed) => deed.targetKeys))],
    issuedAtMs: Math.min(...deeds.map((deed) => deed.issuedAtMs)),
  };
}
