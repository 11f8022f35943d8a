import { blockHash, CHAIN_BEGIN } from "../../model/audit-chain.ts";
import { recordOf } from "../../store/audit.ts";
import {
  type AuditBlockRow,
  blocksAfter,
  missingBlocks,
  recordsOfBlock,
  unsealedTail,
} from "../../store/audit-chain.ts";
import type { Reader } from "../../store/database.ts";
import type { Store } from "../../store/store.ts";

/** A block that is not as it was sealed. */
export interface AuditFinding {
  readonly block: bigint;
  readonly what: string;
}

export interface AuditVerdict {
  readonly findings: readonly AuditFinding[];
  readonly blocks: number;
  readonly records: number;
  /** Records that are not sealed yet, and prove nothing. */
  readonly unsealed: number;
  /** `<number>:<hash in hex>` of the last block; "" = there is none. Noted elsewhere, it shows later cuts of the end. */
  readonly head: string;
}

/** Blocks read at once. */
const PAGE = 200;
const FINDINGS_MAX = 1_000;

/**
 * Checks the whole chain against its records, in one state of the database.
 * @param noted head of an earlier run: it must still be in the chain
 */
export function verifyAudit(store: Store, noted?: string): Promise<AuditVerdict> {
  return store.readSnapshot(async (reader) => {
    const findings: AuditFinding[] = [];
    let previous: AuditBlockRow = { number: 0n, hash: CHAIN_BEGIN, records: 0, sealTime: new Date(0) };
    let blocks = 0;
    let records = 0;
    let isNotedSeen = noted === undefined;
    for (let page = await blocksAfter(reader, 0n, PAGE); page.length > 0; ) {
      for (const block of page) {
        findings.push(...(await findingsOf(reader, block, previous)));
        isNotedSeen ||= headOf(block) === noted;
        blocks += 1;
        records += block.records;
        previous = block;
      }
      page = await blocksAfter(reader, previous.number, PAGE);
    }
    for (const block of await missingBlocks(reader, FINDINGS_MAX))
      findings.push({ block, what: "records name it, and it is gone" });
    if (!isNotedSeen) findings.push({ block: previous.number, what: "the noted head is not in the chain: it was cut" });
    const { records: unsealed } = await unsealedTail(reader);
    return { findings: findings.slice(0, FINDINGS_MAX), blocks, records, unsealed, head: headOf(previous) };
  });
}

const headOf = ({ number, hash }: AuditBlockRow): string =>
  number === 0n ? "" : `${number}:${Buffer.from(hash).toString("hex")}`;

/** Each block is checked against the stored hash before it: one broken block does not make all after it look broken. */
async function findingsOf(reader: Reader, block: AuditBlockRow, previous: AuditBlockRow): Promise<AuditFinding[]> {
  const { number } = block;
  if (number !== previous.number + 1n)
    return [{ block: number, what: `blocks before it are gone (after ${previous.number})` }];
  const rows = await recordsOfBlock(reader, number);
  const isSame = Buffer.from(blockHash(previous.hash, rows.map(recordOf))).equals(block.hash);
  if (isSame && rows.length === block.records) return [];
  const what =
    rows.length === block.records
      ? "a record was changed or moved, or the block was"
      : `has ${rows.length} of the ${block.records} records it was sealed with`;
  return [{ block: number, what }];
}
