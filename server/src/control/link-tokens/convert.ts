import type { LinkToken as LinkTokenMessage } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import type { ConfigChange } from "../../model/config-resource.ts";
import type { LinkToken } from "../../model/link-token.ts";
import type { LinkTokenRow } from "../../store/link-tokens.ts";
import { linkTokenToProto } from "../../wire/link-token.ts";
import { metaOf } from "../etag.ts";
import { linkTokenOf } from "../link-token-row.ts";

/** What of a token its row holds besides ids and times. */
export function columnsOf(token: LinkToken) {
  const { displayName, allowedOrigins, allowedAddresses, expireTimeMs } = token;
  const expireTime = expireTimeMs === undefined ? null : new Date(expireTimeMs);
  return { displayName, allowedOrigins, allowedAddresses, expireTime };
}

/** Without the token's text. */
export const linkTokenMessageOf = (project: string, row: LinkTokenRow, nowMs: number): LinkTokenMessage =>
  linkTokenToProto(linkTokenOf(project, row), { meta: metaOf(row), nowMs });

export const linkTokenChange = (linkToken: LinkToken): ConfigChange => ({
  op: "upsert",
  resource: { kind: "link_token", name: linkToken.name, linkToken },
});
