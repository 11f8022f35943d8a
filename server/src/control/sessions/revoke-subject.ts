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
    const alive = ended.filter(isSince(nowMs - MINTED_LIFETIME_MS));
    const isOneByOne = except !== undefined && alive.length <= ENTRIES_MAX;
    const ids = (isOneByOne ? alive : underWay(alive, nowMs)).map(({ id }) => id);
    const changes = await withdrawTokensOf(tx, deps.random, { project, ids }, reason, nowMs);
    if (!isOneByOne) changes.push(await withdrawSubject(tx, deps, { project, subject, reason }));
    return { result: ended.length, changes };
  });
  return { revokedSessions: result, configSequence: sequence };
}

/** Of one transaction: it holds a lock for each. Beyond it the session that goes on loses its access token with the others. */
const ENTRIES_MAX = 1_000;
/** A call takes 60 s at most; the rest is for clocks of other replicas. */
const UNDER_WAY_MS = 120_000;

/**
 * Those that may be refreshed just now. They are withdrawn by their ids too: the refresh signs its access token after this
 * commit, and dates it so that "issued before" would not meet it.
 */
const underWay = (alive: readonly EndedSession[], nowMs: number): readonly EndedSession[] =>
  alive
    .filter(isSince(nowMs - UNDER_WAY_MS))
    .sort((a, b) => b.lastIssueTime.getTime() - a.lastIssueTime.getTime())
    .slice(0, ENTRIES_MAX);

const isSince =
  (ms: number) =>
  ({ lastIssueTime }: EndedSession): boolean =>
    lastIssueTime.getTime() > ms;

/** Id of the session that goes on. Throws `field_invalid` for another project's: the caller was let in for `parent` only. */
function exceptOf(parent: string, name: string): string | undefined {
  if (name === "") return undefined;
  const { project, id } = readNameInProject("session", name, "except");
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
  if (project !== parent || !isUuid)
    throw invalidFields([{ field: "except", description: "must be a session of parent" }]);
  return id;
}

/** One entry for all that was issued until now, also for tokens that belong to no session. */
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
