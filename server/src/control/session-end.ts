import type { ConfigChange } from "../model/config-resource.ts";
import type { Random } from "../random.ts";
import type { Tx } from "../store/database.ts";
import { endSession, type SessionRow } from "../store/sessions.ts";
import { MINTED_LIFETIME_MS, writeRevocation } from "./revocation-write.ts";

/** Why a session ended by itself: a refresh token was used twice. */
export const REUSE_REASON = "refresh_token_reuse";

/**
 * Ends a session: its refresh tokens are refused from the commit on, its access tokens at every proxy that has applied the
 * changes. None when it was ended before.
 */
export async function endWithTokens(
  tx: Tx,
  random: Random,
  { project, id }: Pick<SessionRow, "project" | "id">,
  reason: string,
  nowMs: number,
): Promise<ConfigChange[]> {
  if (!(await endSession(tx, id, reason, new Date(nowMs)))) return [];
  return [await withdrawTokensOf(tx, random, { project, id }, reason, nowMs)];
}

/** Withdraws the access tokens of a session. */
export async function withdrawTokensOf(
  tx: Tx,
  random: Random,
  { project, id }: Pick<SessionRow, "project" | "id">,
  reason: string,
  nowMs: number,
): Promise<ConfigChange> {
  const target = { kind: "session", project, id } as const;
  const revocation = { project, id: random.uuid(), target, expireTimeMs: nowMs + MINTED_LIFETIME_MS, reason };
  return (await writeRevocation(tx, revocation, nowMs)).change;
}
