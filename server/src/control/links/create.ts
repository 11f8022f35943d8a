import {
  type CreateLinkRequest,
  CreateLinkRequestSchema,
  type Link as LinkMessage,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { Write } from "../../config-log/commit.ts";
import type { AuditEvent } from "../../model/audit-event.ts";
import type { Link } from "../../model/link.ts";
import { idOf, linkName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { getLink, insertLink, type LinkRow } from "../../store/links.ts";
import { linkFromProto, withNewLinkDefaults } from "../../wire/link.ts";
import type { AuditedCall } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { newId } from "../new-id.ts";
import { rehearse } from "../rehearse.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { type AssertionKeySteps, assertionKeySteps, spareAssertionKey } from "./assertion.ts";
import { linkEvent } from "./change.ts";
import { linkChange, linkMessageOf, specOf } from "./convert.ts";
import { recordRevision } from "./history.ts";
import { requirePrivateAllowed, requireRules, requireSound } from "./soundness.ts";

export async function createLink(
  deps: Deps,
  request: CreateLinkRequest,
  context: AuditedCall,
): Promise<{ link: LinkMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const id = request.linkId || newId(deps.random, request.link?.displayName ?? "", "link");
  const link = newLink(required(request.link), linkName(project, id));
  requirePrivateAllowed(principalOf(context), link, undefined);
  const steps = assertionKeySteps(deps, project, undefined, link, await spareAssertionKey(link));
  const event = linkEvent(deps, context, link.name, request);
  const make = (tx: Tx) => insertSoundLink(tx, project, link, steps, event);
  if (request.validateOnly) {
    const { result } = await rehearse(deps.store, make);
    return { link: linkMessageOf(result, undefined), configSequence: 0n };
  }
  const { details } = event;
  const call = { context, schema: CreateLinkRequestSchema, request, resourceName: link.name, details };
  const outcome = await createOnce(deps, call, make);
  const row =
    "made" in outcome
      ? outcome.made
      : found(await deps.store.read((reader) => getLink(reader, project, idOf(outcome.earlierName))));
  return { link: linkMessageOf(row, undefined), configSequence: outcome.sequence };
}

function newLink(message: LinkMessage, name: string): Link {
  const link = withNewLinkDefaults(linkFromProto(message));
  requireRules(link);
  return { ...link, name, state: "ACTIVE" };
}

async function insertSoundLink(
  tx: Tx,
  project: string,
  link: Link,
  steps: AssertionKeySteps,
  event: AuditEvent,
): Promise<Write<LinkRow>> {
  await requireProject(tx, project);
  await steps.prepare(tx);
  await requireSound(tx, project, link);
  const now = new Date(event.timeMs);
  const row = { project, id: idOf(link.name), spec: specOf(link), createTime: now, updateTime: now };
  const result = await insertLink(tx, row);
  await recordRevision(tx, result, undefined, event);
  return { result, changes: [linkChange(link, []), ...(await steps.changes(tx))] };
}
