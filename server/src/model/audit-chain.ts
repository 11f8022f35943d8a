import { createHash } from "node:crypto";
import type { AuditEvent } from "./audit-event.ts";

/** An event as the chain covers it. */
export interface AuditRecord extends AuditEvent {
  readonly id: bigint;
  /** Project id; "" = the installation. */
  readonly project: string;
}

/** What the first block follows. */
export const CHAIN_BEGIN: Uint8Array = new Uint8Array(32);

/**
 * Hash of a block: SHA-256 over the hash of the block before and its records in id order, each as a line of JSON. So a
 * record that is changed, removed, added or moved changes its block, and a changed block every one after it.
 * What it does not show: that the last blocks were cut off whole, or that the whole chain was made anew; compare the
 * head with one noted elsewhere for that.
 */
export function blockHash(previous: Uint8Array, records: readonly AuditRecord[]): Uint8Array {
  const hash = createHash("sha256").update("conduit/v1/audit-block\n").update(previous);
  for (const record of records) hash.update(lineOf(record));
  return new Uint8Array(hash.digest());
}

function lineOf({ id, project, timeMs, actor, action, resource, requestId, clientAddress, details }: AuditRecord) {
  // The database keeps no order of the members of an object.
  const sorted = Object.entries(details).sort(([a], [b]) => (a < b ? -1 : 1));
  const fields = [`${id}`, project, timeMs, actor, action, resource, requestId, clientAddress, sorted];
  return `${JSON.stringify(fields)}\n`;
}
