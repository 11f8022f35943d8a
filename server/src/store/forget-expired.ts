import { lt } from "drizzle-orm";
import type { Tx } from "./database.ts";
import { deleteExpiredClaims } from "./idempotency.ts";
import { joinTokens } from "./schema.ts";
import { deleteSessionsEndedBefore } from "./sessions.ts";
import { deleteUsageBatches } from "./usage.ts";

/** A proxy sends an unacknowledged batch again for no longer than this; after it a repetition would count twice. */
export const USAGE_BATCH_RETENTION_MS = 7 * 24 * 3_600_000;
/** Used and lapsed join tokens stay so long, to tell who joined with which. */
const JOIN_TOKEN_RETENTION_MS = 30 * 24 * 3_600_000;

/** Sessions that are over are shown so long. */
const SESSION_RETENTION_MS = 30 * 24 * 3_600_000;

/** Deletes rows that mean nothing any more. Any number of replicas may do it at once. */
export async function forgetExpired(tx: Tx, now: Date): Promise<void> {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  await deleteExpiredClaims(tx, now);
  await deleteUsageBatches(tx, ago(USAGE_BATCH_RETENTION_MS));
  await deleteSessionsEndedBefore(tx, ago(SESSION_RETENTION_MS));
  await tx.delete(joinTokens).where(lt(joinTokens.expireTime, ago(JOIN_TOKEN_RETENTION_MS)));
}
