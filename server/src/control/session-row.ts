import type { Claims } from "../model/claims.ts";
import { sessionName } from "../model/resource-name.ts";
import type { Session } from "../model/session.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import { dataKeyIdOf } from "../sealing/keyring.ts";
import type { SessionRow } from "../store/sessions.ts";
import type { Deps } from "./deps.ts";
import type { Reading } from "./known-data-keys.ts";

/** What every access token of a session says besides names and times. */
export interface SessionContent {
  readonly roles: readonly string[];
  readonly claims: Claims;
}

export const contentText = ({ roles, claims }: SessionContent): string => JSON.stringify({ roles, claims });

/** Reads what `contentText` wrote. */
export const contentOf = ({ content }: SessionRow): SessionContent => JSON.parse(content) as SessionContent;

/** Where a session's refresh key lies sealed. */
export const refreshKeyPlace = (project: string, id: string): SealedPlace => ({
  table: "sessions",
  column: "sealed_refresh_key",
  project,
  row: id,
  version: 1,
});

/** The key of a session's refresh tokens. */
export async function openRefreshKey(
  read: Reading,
  { keyring, knownDataKeys }: Deps,
  { project, id, sealedRefreshKey }: SessionRow,
): Promise<Uint8Array> {
  const dataKey = await knownDataKeys.get(read, dataKeyIdOf(sealedRefreshKey));
  if (dataKey === undefined) throw new TypeError("the data key of a session is gone");
  return keyring.open(dataKey, sealedRefreshKey, refreshKeyPlace(project, id));
}

/** When it ends if nobody refreshes: milliseconds since the epoch. */
export const sessionEndMs = ({ createTime, rotateTime, idleLifetimeMs, absoluteExpireTime }: SessionRow): number =>
  Math.min((rotateTime ?? createTime).getTime() + idleLifetimeMs, absoluteExpireTime.getTime());

/** Whether it can be refreshed. */
export const isSessionOpen = (row: SessionRow, nowMs: number): boolean =>
  row.revokeTime === null && nowMs < sessionEndMs(row);

export const sessionOf = (row: SessionRow): Session => ({
  ...{ name: sessionName(row.project, row.id), subject: row.subject, links: row.links, scope: row.scope },
  ...{ deviceLabel: row.deviceLabel, clientId: row.clientId, revokeReason: row.revokeReason },
  createTimeMs: row.createTime.getTime(),
  lastUseTimeMs: row.rotateTime?.getTime(),
  expireTimeMs: sessionEndMs(row),
  revokeTimeMs: row.revokeTime?.getTime(),
});
