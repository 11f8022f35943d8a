import type { AuditEvent } from "../model/audit-event.ts";
import { recordAudit } from "../store/audit.ts";
import { type Rotation, rotateUnchanged } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** Writes down the deeds that come most, so that those which come at once share a transaction (group commit). */
export interface AuditLedger {
  /**
   * Deeds that change nothing else, such as a mint without a session. Resolves when the records are committed: answer with
   * the deed only then. Rejects when they are not.
   */
  write(events: readonly AuditEvent[]): Promise<void>;
  /** Rotates a session, if it is still as it was read; false = it is not, or is being changed, and nothing was done. */
  rotate(rotation: Rotation): Promise<boolean>;
}

export function createAuditLedger(store: Store): AuditLedger {
  const rotateAll = groupCalls(async (rotations: readonly Rotation[]) => {
    const rotated = await store.statement((tx) => rotateUnchanged(tx, rotations));
    return new Set(rotations.filter((_rotation, at) => rotated.has(at)));
  });
  return {
    write: groupCalls((entries: ReadonlyArray<readonly AuditEvent[]>) =>
      store.statement((tx) => recordAudit(tx, ...entries.flat())),
    ),
    rotate: async (rotation) => (await rotateAll(rotation)).has(rotation),
  };
}
