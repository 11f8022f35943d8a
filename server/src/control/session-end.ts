import type { ConfigChange } from "../model/config-resource.ts";
import type { Random } from "../random.ts";
import type { Tx } from "../store/database.ts";
import { insertRevocations } from "../store/revocations.ts";
import { endSession, type SessionRow } from "../store/sessions.ts";
import { MINTED_LIFETIME_MS, revocationRowOf, revocationUpsert } from "./revocation-write.ts";

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
  return withdrawTokensOf(tx, random, { project, ids: [id] }, reason, nowMs);
}

/** Withdraws the access tokens of sessions, whenever they were issued. */
export async function withdrawTokensOf(
  tx: Tx,
  random: Random,
  { project, ids }: { readonly project: string; readonly ids: readonly string[] },
  reason: string,
  nowMs: number,
): Promise<ConfigChange[]> {
  const revocations = ids.map((session) => {
    const target = { kind: "session", project, id: session } as const;
    return { project, id: random.uuid(), target, expireTimeMs: nowMs + MINTED_LIFETIME_MS, reason };
  });
  await insertRevocations(
    tx,
    revocations.map((revocation) => revocationRowOf(revocation, nowMs)),
  );
  return revocations.map(revocationUpsert);
}
