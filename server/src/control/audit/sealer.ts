import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { blockHash, CHAIN_BEGIN } from "../../model/audit-chain.ts";
import { tryTask } from "../../store/advisory-lock.ts";
import { recordOf } from "../../store/audit.ts";
import { hasUnsealed, insertBlock, lastBlock, unsealedAudit } from "../../store/audit-chain.ts";
import type { Store } from "../../store/store.ts";

/** What the sealer works with. */
export interface SealerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** S23 promises a second from the commit to the seal; at 700 ms a busy machine came to within 25 ms of it. */
const INTERVAL_MS = 400;
/** Records of one block at most. */
const BLOCK_MAX = 5_000;

/**
 * Chains committed records into blocks, until none is left. Any number of replicas may do it: one seals at a time, and
 * the others leave it to that one.
 */
export async function sealAudit({ store, clock }: Pick<SealerParts, "store" | "clock">): Promise<void> {
  while (await store.read(hasUnsealed)) {
    const isDone = await store.transaction(async (tx) => {
      if (!(await tryTask(tx, "audit-sealer"))) return true;
      const rows = await unsealedAudit(tx, BLOCK_MAX);
      if (rows.length === 0) return true;
      const last = await lastBlock(tx);
      const block = {
        number: (last?.number ?? 0n) + 1n,
        hash: blockHash(last?.hash ?? CHAIN_BEGIN, rows.map(recordOf)),
        records: rows.length,
        sealTime: new Date(clock.now()),
      };
      await insertBlock(
        tx,
        block,
        rows.map(({ id }) => id),
      );
      return rows.length < BLOCK_MAX;
    });
    if (isDone) return;
  }
}

/** Seals about every second; a failure is logged once, and tried again. Returns the way to end it: seals once more. */
export function startSealer(parts: SealerParts): () => Promise<void> {
  let isFailing = false;
  let running: Promise<void> = Promise.resolve();
  const seal = async (): Promise<void> => {
    try {
      await sealAudit(parts);
      isFailing = false;
    } catch (err) {
      if (!isFailing) parts.log.warn({ err }, "the audit trail cannot be sealed; tried again");
      isFailing = true;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    timer = setTimeout(() => {
      running = seal().then(() => {
        if (timer !== undefined) schedule();
      });
    }, INTERVAL_MS).unref();
  };
  schedule();
  return async () => {
    clearTimeout(timer);
    timer = undefined;
    await running;
    await seal();
  };
}
