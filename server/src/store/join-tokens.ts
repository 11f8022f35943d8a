import { and, eq, gt, isNull } from "drizzle-orm";
import type { Tx } from "./database.ts";
import { joinTokens } from "./schema.ts";

export type JoinTokenRow = typeof joinTokens.$inferSelect;

export async function insertJoinToken(
  tx: Tx,
  row: Pick<JoinTokenRow, "tokenHash" | "displayName" | "expireTime" | "createTime">,
): Promise<void> {
  await tx.insert(joinTokens).values(row);
}

/**
 * Uses up a join token for a proxy: of any number of callers at once one gets the row.
 * Undefined when it is unknown, used or expired.
 */
export async function consumeJoinToken(
  tx: Tx,
  tokenHash: string,
  proxy: string,
  now: Date,
): Promise<JoinTokenRow | undefined> {
  const isUsable = and(eq(joinTokens.tokenHash, tokenHash), isNull(joinTokens.useTime), gt(joinTokens.expireTime, now));
  const [row] = await tx.update(joinTokens).set({ useTime: now, proxy }).where(isUsable).returning();
  return row;
}
