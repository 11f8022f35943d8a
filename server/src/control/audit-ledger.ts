import type { AuditEvent } from "../model/audit-event.ts";
import { recordAudit } from "../store/audit.ts";
import type { Store } from "../store/store.ts";

/** Writes down deeds that change nothing else, such as a mint without a session. */
export interface AuditLedger {
  /** Resolves when the records are committed: answer with the deed only then. Rejects when they are not. */
  write(events: readonly AuditEvent[]): Promise<void>;
}

interface Entry {
  readonly events: readonly AuditEvent[];
  resolve(): void;
  reject(error: unknown): void;
}

/** Entries of one transaction at most. */
const BATCH_MAX = 200;

/**
 * Deeds that come while a transaction is under way share the next one (group commit): nobody waits longer than for the
 * one before, and a busy replica writes one transaction where it would have written many.
 */
export function createAuditLedger(store: Store): AuditLedger {
  const waiting: Entry[] = [];
  let isWriting = false;

  async function writeBatch(batch: readonly Entry[]): Promise<void> {
    try {
      await store.transaction((tx) => recordAudit(tx, ...batch.flatMap(({ events }) => events)));
      for (const entry of batch) entry.resolve();
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    }
  }

  async function drain(): Promise<void> {
    isWriting = true;
    while (waiting.length > 0) await writeBatch(waiting.splice(0, BATCH_MAX));
    isWriting = false;
  }

  return {
    write: (events) =>
      new Promise((resolve, reject) => {
        waiting.push({ events, resolve, reject });
        if (!isWriting) void drain();
      }),
  };
}
