import {
  type Link as LinkMessage,
  LinkSchema,
  type UpdateLinkRequest,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import { commitChanges, type Write } from "../../config-log/commit.ts";
import type { Link } from "../../model/link.ts";
import { linkName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { type LinkRow, lockLink, updateLink as updateRow } from "../../store/links.ts";
import { linkFromProto, linkToProto } from "../../wire/link.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { rehearse } from "../rehearse.ts";
import { required } from "../required.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { assertionKeySteps, spareAssertionKey } from "./assertion.ts";
import { linkChange, linkMessageOf, linkOf, specOf } from "./convert.ts";
import { requirePrivateAllowed, requireSound } from "./soundness.ts";

/** State changes by DisableLink and EnableLink only. */
const FIXED = [...OUTPUT_ONLY, "state", "conditions"];

export async function updateLink(
  deps: Deps,
  request: UpdateLinkRequest,
  context: AuditedCall,
): Promise<{ link: LinkMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("link", request.link?.name ?? "", "link.name");
  const spare = await spareAssertionKey(request.link);
  const change = async (tx: Tx): Promise<Write<LinkRow>> => {
    const row = found(await lockLink(tx, project, id));
    requireEtag(request.link?.etag ?? "", row);
    const current = linkOf(row);
    const next = changedLink(current, request);
    requirePrivateAllowed(principalOf(context), next, current);
    const steps = assertionKeySteps(deps, project, current, next, spare);
    await steps.prepare(tx);
    await requireSound(tx, project, next);
    const changed = { ...row, spec: specOf(next), updateTime: new Date(deps.clock.now()) };
    const result = await updateRow(tx, changed);
    return { result, changes: [linkChange(next, row.debugKeys), ...(await steps.changes(tx))] };
  };
  if (request.validateOnly) {
    const { result } = await rehearse(deps.store, change);
    return { link: linkMessageOf(result, undefined), configSequence: 0n };
  }
  const event = auditOf(context, linkName(project, id), deps.clock.now());
  const { result, sequence } = await commitChanges(deps.store, event, change);
  return { link: linkMessageOf(result, undefined), configSequence: sequence };
}

function changedLink(current: Link, { link, updateMask }: UpdateLinkRequest): Link {
  const { message, touched } = applyMask(LinkSchema, linkToProto(current), required(link), updateMask, FIXED);
  const next = linkFromProto(message);
  // The first issuer of a link turns verification on, as on create: else its tokens would be accepted unread.
  const isFirstIssuer = current.issuers.length === 0 && next.issuers.length > 0;
  const userTokenMode = isFirstIssuer && !touched.has("user_token_mode") ? "REQUIRED" : next.userTokenMode;
  return { ...next, userTokenMode };
}
