import {
  type Link as LinkMessage,
  LinkSchema,
  type UpdateLinkRequest,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import type { Link } from "../../model/link.ts";
import { linkName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import type { LinkRow } from "../../store/links.ts";
import { linkFromProto, linkToProto } from "../../wire/link.ts";
import type { AuditedCall } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { rehearse } from "../rehearse.ts";
import { required } from "../required.ts";
import { readNameInProject } from "../resource-path.ts";
import { spareAssertionKey } from "./assertion.ts";
import { changeLink, linkEvent } from "./change.ts";
import { describeLink } from "./conditions.ts";
import { linkMessageOf, linkOf } from "./convert.ts";

/** State changes by DisableLink and EnableLink only. */
const FIXED = [...OUTPUT_ONLY, "state", "conditions"];

export async function updateLink(
  deps: Deps,
  request: UpdateLinkRequest,
  context: AuditedCall,
): Promise<{ link: LinkMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("link", request.link?.name ?? "", "link.name");
  const spare = await spareAssertionKey(request.link);
  const next = (row: LinkRow): Link => {
    requireEtag(request.link?.etag ?? "", row);
    return changedLink(linkOf(row), request);
  };
  const event = linkEvent(deps, context, linkName(project, id), request);
  const change = (tx: Tx) => changeLink(deps, tx, { project, id, next, spare }, context, event);
  if (request.validateOnly) {
    const { result } = await rehearse(deps.store, change);
    return { link: linkMessageOf(result, undefined), configSequence: 0n };
  }
  const { result, sequence } = await commitChanges(deps.store, event, change);
  return { link: await describeLink(deps, result), configSequence: sequence };
}

function changedLink(current: Link, { link, updateMask }: UpdateLinkRequest): Link {
  const { message, touched } = applyMask(LinkSchema, linkToProto(current), required(link), updateMask, FIXED);
  const next = linkFromProto(message);
  // The first issuer of a link turns verification on, as on create: else its tokens would be accepted unread.
  const isFirstIssuer = current.issuers.length === 0 && next.issuers.length > 0;
  const userTokenMode = isFirstIssuer && !touched.has("user_token_mode") ? "REQUIRED" : next.userTokenMode;
  return { ...next, userTokenMode };
}
