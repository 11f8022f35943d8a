import {
  ListSessionsRequestSchema,
  type RevokeSessionRequest,
  type Session as SessionMessage,
  type SessionService,
} from "@conduit-link/proto/conduit/v1/session_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import type { Reader } from "../../store/database.ts";
import { getSession, listSessions, type SessionRow } from "../../store/sessions.ts";
import { sessionToProto } from "../../wire/session.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import { endWithTokens } from "../session-end.ts";
import { sessionOf } from "../session-row.ts";
import { revokeSubjectSessions } from "./revoke-subject.ts";

export const sessionService = (deps: Deps): ServiceImpl<typeof SessionService> => ({
  revokeSession: (request, context) => revokeSession(deps, request, context),
  revokeSubjectSessions: (request, context) => revokeSubjectSessions(deps, request, context),

  async listSessions(request, context) {
    const project = readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListSessionsRequestSchema.typeName, filter: [project, request.subject], principal: apiKey };
    const read = (afterId: string | undefined, limit: number) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return listSessions(reader, project, { subject: request.subject || undefined, afterId, limit });
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { sessions: rows.map((row) => messageOf(deps, row)), nextPageToken };
  },

  async getSession({ name }) {
    const row = await deps.store.read((reader) => readSession(reader, name));
    return { session: messageOf(deps, row) };
  },
});

const messageOf = ({ clock }: Deps, row: SessionRow): SessionMessage => sessionToProto(sessionOf(row), clock.now());

async function readSession(reader: Reader, name: string): Promise<SessionRow> {
  const { project, id } = readNameInProject("session", name, "name");
  return found(UUID.test(id) ? await getSession(reader, project, id) : undefined);
}

/** Other texts name no session, and the column would not take them. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function revokeSession(
  deps: Deps,
  { name, reason }: RevokeSessionRequest,
  context: AuditedCall,
): Promise<{ session: SessionMessage; configSequence: bigint }> {
  const nowMs = deps.clock.now();
  const event = auditOf(context, name, nowMs, { reason });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const changes = await endWithTokens(tx, deps.random, await readSession(tx, name), reason, nowMs);
    return { result: await readSession(tx, name), changes, isRepetition: changes.length === 0 };
  });
  return { session: messageOf(deps, result), configSequence: sequence };
}
