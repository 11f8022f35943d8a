import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RollbackLinkRequest, RollbackLinkResponseSchema } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import type { Link } from "../../model/link.ts";
import type { Tx } from "../../store/database.ts";
import type { LinkRow } from "../../store/links.ts";
import type { AuditedCall } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { rehearse } from "../rehearse.ts";
import { readNameInProject } from "../resource-path.ts";
import { spareAssertionKey } from "./assertion.ts";
import { changeLink, linkEvent } from "./change.ts";
import { describeLink } from "./conditions.ts";
import { linkMessageOf, linkOf } from "./convert.ts";
import { changeToProto, newestRevision, revisionOf, versionDiff, versionOf } from "./history.ts";

/**
 * Writes an earlier version again, as a new one. Whether the link is switched off is no part of what goes back: a link that
 * was disabled since stays so.
 */
export async function rollbackLink(
  deps: Deps,
  request: RollbackLinkRequest,
  context: AuditedCall,
): Promise<MessageInitShape<typeof RollbackLinkResponseSchema>> {
  const { project, id } = readNameInProject("link", request.name, "name");
  const { earlier, newest } = await deps.store.read(async (reader) => {
    const number = await newestRevision(reader, project, id);
    const revision = await revisionOf(reader, project, id, request.toRevision || number - 1);
    return { earlier: revision, newest: number };
  });
  const fromRevision = request.fromRevision || newest;
  const spare = await spareAssertionKey(earlier.spec);
  let before: LinkRow | undefined;
  const next = (row: LinkRow): Link => {
    // What was read before the lock, or shown to the caller, must still be the newest.
    if (row.version !== fromRevision) throw new ConduitError("etag_mismatch");
    before = row;
    return { ...linkOf(versionOf(earlier)), state: row.spec.state };
  };
  const event = linkEvent(deps, context, request.name, request);
  const change = (tx: Tx) => changeLink(deps, tx, { project, id, next, spare }, context, event);
  const { result, sequence } = request.validateOnly
    ? { ...(await rehearse(deps.store, change)), sequence: 0n }
    : await commitChanges(deps.store, event, change);
  return {
    link: request.validateOnly ? linkMessageOf(result, undefined) : await describeLink(deps, result),
    configSequence: sequence,
    ...{ fromRevision, toRevision: earlier.version },
    changes: before === undefined ? [] : versionDiff(before, result).map(changeToProto),
  };
}
