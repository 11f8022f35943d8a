import type { RevokeSubjectSessionsRequest } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import type { ConfigChange } from "../../model/config-resource.ts";
import { invalidFields } from "../../model/errors.ts";
import { BUILT_IN_ISSUER_ID } from "../../model/project.ts";
import { issuerName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { type EndedSession, endSessionsOf } from "../../store/sessions.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireProject } from "../require-project.ts";
import { readNameInProject, readProjectName } from "../resource-path.ts";
import { MINTED_LIFETIME_MS, writeRevocation } from "../revocation-write.ts";
import { withdrawTokensOf } from "../session-end.ts";

/** Ends a person's sessions, all or all but one, with their access tokens. */
export async function revokeSubjectSessions(
  deps: Deps,
  request: RevokeSubjectSessionsRequest,
  context: AuditedCall,
): Promise<{ revokedSessions: number; configSequence: bigint }> {
  const { parent, subject, reason } = request;
  const project = readProjectName(parent, "parent");
  const except = exceptOf(project, request.except);
  const nowMs = deps.clock.now();
  const event = auditOf(context, parent, nowMs, { subject, reason, except: except ?? "" });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    await requireProject(tx, project);
    const times = { now: new Date(nowMs), overBefore: new Date(nowMs - MINTED_LIFETIME_MS) };
    const ended = await endSessionsOf(tx, { project, subject, except }, reason, times);
    // By session too: a refresh that is under way signs its token after this commit, and dates it so that "issued before"
    // would not meet it.
    const changes = await withdrawTokensOf(tx, deps.random, { project, ids: withTokens(ended, nowMs) }, reason, nowMs);
    if (except !== undefined) return { result: ended.length, changes };
    return {
      result: ended.length,
      changes: [...changes, await withdrawSubject(tx, deps, { project, subject, reason })],
    };
  });
  return { revokedSessions: result, configSequence: sequence };
}

/** Ids of those that may have an access token which is still valid. */
const withTokens = (ended: readonly EndedSession[], nowMs: number): string[] =>
  ended.filter(({ lastIssueTime }) => lastIssueTime.getTime() > nowMs - MINTED_LIFETIME_MS).map(({ id }) => id);

/** Id of the session that goes on. Throws `field_invalid` for another project's: the caller was let in for `parent` only. */
function exceptOf(parent: string, name: string): string | undefined {
  if (name === "") return undefined;
  const { project, id } = readNameInProject("session", name, "except");
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
  if (project !== parent || !isUuid)
    throw invalidFields([{ field: "except", description: "must be a session of parent" }]);
  return id;
}

/** One entry for all that was issued until now: tokens that belong to no session, and those of sessions forgotten since. */
async function withdrawSubject(
  tx: Tx,
  { random, clock }: Deps,
  { project, subject, reason }: { readonly project: string; readonly subject: string; readonly reason: string },
): Promise<ConfigChange> {
  const issuer = issuerName(project, BUILT_IN_ISSUER_ID);
  // Read after the sessions' locks were given: the wait for them may have been long.
  const nowMs = clock.now();
  const target = { kind: "subject", project, issuer, subject, issuedBeforeMs: nowMs } as const;
  const revocation = { project, id: random.uuid(), target, expireTimeMs: nowMs + MINTED_LIFETIME_MS, reason };
  return (await writeRevocation(tx, revocation, nowMs)).change;
}
