import type { LinkToken } from "../model/link-token.ts";
import { linkTokenName } from "../model/resource-name.ts";
import type { LinkTokenRow } from "../store/link-tokens.ts";

/** @param project of the row's link */
export function linkTokenOf(project: string, row: LinkTokenRow): LinkToken {
  const { link, id, displayName, tokenHash, allowedOrigins, allowedAddresses, expireTime } = row;
  return {
    name: linkTokenName(project, link, id),
    displayName,
    tokenHash,
    allowedOrigins,
    allowedAddresses,
    ...(expireTime !== null && { expireTimeMs: expireTime.getTime() }),
  };
}
