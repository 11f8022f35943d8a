import {
  type LinkToken as LinkTokenMessage,
  LinkTokenSchema,
  type LinkTokenService,
  ListLinkTokensRequestSchema,
  type UpdateLinkTokenRequest,
} from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import type { LinkToken } from "../../model/link-token.ts";
import { linkTokenName } from "../../model/resource-name.ts";
import type { Reader } from "../../store/database.ts";
import {
  deleteLinkToken,
  getLinkToken,
  listLinkTokens,
  lockLinkToken,
  updateLinkToken as updateRow,
} from "../../store/link-tokens.ts";
import { getLink } from "../../store/links.ts";
import { linkTokenFromProto, linkTokenToProto } from "../../wire/link-token.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { expiryViolations } from "../expiry.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { linkTokenOf } from "../link-token-row.ts";
import { readPage } from "../page-token.ts";
import { required } from "../required.ts";
import { found, readLinkTokenName, readNameInProject } from "../resource-path.ts";
import { columnsOf, linkTokenChange, linkTokenMessageOf } from "./convert.ts";
import { createLinkToken } from "./create.ts";
import { requireSoundToken } from "./soundness.ts";

const FIXED = [...OUTPUT_ONLY, "token", "state"];

export const linkTokenService = (deps: Deps): ServiceImpl<typeof LinkTokenService> => ({
  createLinkToken: (request, context) => createLinkToken(deps, request, context),
  updateLinkToken: (request, context) => updateLinkToken(deps, request, context),

  async getLinkToken({ name }) {
    const { project, link, id } = readLinkTokenName(name, "name");
    const row = await deps.store.read(async (reader) => {
      await requireLink(reader, project, link);
      return found(await getLinkToken(reader, link, id));
    });
    return { linkToken: linkTokenMessageOf(project, row, deps.clock.now()) };
  },

  async listLinkTokens(request, context) {
    const { project, id: link } = readNameInProject("link", request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListLinkTokensRequestSchema.typeName, filter: [project, link], principal: apiKey };
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        await requireLink(reader, project, link);
        return listLinkTokens(reader, link, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { linkTokens: rows.map((row) => linkTokenMessageOf(project, row, deps.clock.now())), nextPageToken };
  },

  async deleteLinkToken({ name, etag }, context) {
    const { project, link, id } = readLinkTokenName(name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      await requireLink(tx, project, link);
      requireEtag(etag, found(await lockLinkToken(tx, link, id)));
      await deleteLinkToken(tx, link, id);
      return { result: undefined, changes: [{ op: "delete", kind: "link_token", name }] };
    });
    return { configSequence: sequence };
  },
});

async function updateLinkToken(
  deps: Deps,
  request: UpdateLinkTokenRequest,
  context: AuditedCall,
): Promise<{ linkToken: LinkTokenMessage; configSequence: bigint }> {
  const { project, link, id } = readLinkTokenName(request.linkToken?.name ?? "", "link_token.name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, linkTokenName(project, link, id), nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    await requireLink(tx, project, link);
    const row = found(await lockLinkToken(tx, link, id));
    requireEtag(request.linkToken?.etag ?? "", row);
    const next = changedToken(linkTokenOf(project, row), request, nowMs);
    const updated = await updateRow(tx, { ...row, ...columnsOf(next), updateTime: new Date(nowMs) });
    return { result: updated, changes: [linkTokenChange(next)] };
  });
  return { linkToken: linkTokenMessageOf(project, result, nowMs), configSequence: sequence };
}

function changedToken(current: LinkToken, request: UpdateLinkTokenRequest, nowMs: number): LinkToken {
  const wanted = required(request.linkToken);
  const { message } = applyMask(LinkTokenSchema, linkTokenToProto(current), wanted, request.updateMask, FIXED);
  const next = linkTokenFromProto(message, current.tokenHash);
  const isNewExpiry = next.expireTimeMs !== current.expireTimeMs;
  requireSoundToken(next, isNewExpiry ? expiryViolations("link_token.expire_time", next.expireTimeMs, nowMs) : []);
  return next;
}

/** Throws `resource_not_found`. A token's row knows its link only: the project is the link's to prove. */
async function requireLink(reader: Reader, project: string, link: string): Promise<void> {
  found(await getLink(reader, project, link));
}
