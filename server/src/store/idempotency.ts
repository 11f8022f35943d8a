import { and, eq, lte } from "drizzle-orm";
import type { Tx } from "./database.ts";
import { idempotency } from "./schema.ts";

/** A create that was asked for under a `request_id`, and what it made. */
export type IdempotencyRow = typeof idempotency.$inferSelect;

/**
 * Claims a request id for what this transaction is about to create. Undefined = it is ours. Else the earlier claim, live
 * and committed: the same request if `requestSha256` is equal. A claim in another open transaction is waited for.
 */
export async function claimRequest(tx: Tx, claim: IdempotencyRow, now: Date): Promise<IdempotencyRow | undefined> {
  const { principal, method, requestId } = claim;
  const target = [idempotency.principal, idempotency.method, idempotency.requestId];
  const claimed = await tx
    .insert(idempotency)
    .values(claim)
    .onConflictDoUpdate({ target, set: claim, setWhere: lte(idempotency.expireTime, now) })
    .returning({ requestId: idempotency.requestId });
  if (claimed.length > 0) return undefined;
  const isSame = and(
    eq(idempotency.principal, principal),
    eq(idempotency.method, method),
    eq(idempotency.requestId, requestId),
  );
  const [earlier] = await tx.select().from(idempotency).where(isSame);
  return earlier;
}

/** Forgets claims that have expired. */
export async function deleteExpiredClaims(tx: Tx, now: Date): Promise<void> {
  await tx.delete(idempotency).where(lte(idempotency.expireTime, now));
}
