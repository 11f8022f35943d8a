import { create } from "@bufbuild/protobuf";
import {
  type AuditEvent as AuditEventMessage,
  AuditEventSchema,
  type AuditService,
  type ListAuditEventsRequest,
  ListAuditEventsRequestSchema,
} from "@conduit-link/proto/conduit/v1/audit_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { auditEventName } from "../../model/resource-name.ts";
import { type AuditFilter, type AuditRow, getAudit, listAudit } from "../../store/audit.ts";
import { msFromTimestamp, timestampFromMs } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";

export const auditService = (deps: Deps): ServiceImpl<typeof AuditService> => ({
  async getAuditEvent({ name }) {
    const { project, id } = readNameInProject("auditEvent", name, "name");
    return { auditEvent: messageOf(found(await deps.store.read((reader) => getAudit(reader, project, BigInt(id))))) };
  },

  async listAuditEvents(request, context) {
    const filter = filterOf(request);
    const scope = {
      method: ListAuditEventsRequestSchema.typeName,
      filter: Object.entries(filter).map(
        ([name, value]) => `${name}=${value instanceof Date ? value.getTime() : value}`,
      ),
      principal: principalOf(context).apiKey,
    };
    const read = (before: string | undefined, limit = 0) =>
      deps.store.read((reader) => listAudit(reader, filter, before === undefined ? undefined : BigInt(before), limit));
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, ({ id }) => `${id}`);
    return { auditEvents: rows.map(messageOf), nextPageToken };
  },
});

function filterOf(request: ListAuditEventsRequest): AuditFilter {
  const { parent, actor, action, resource, subject } = request;
  const startMs = msFromTimestamp(request.startTime);
  const endMs = msFromTimestamp(request.endTime);
  return {
    // Events outlive their project: it need not be there any more.
    ...(parent !== "" && { project: readProjectName(parent, "parent") }),
    ...(actor !== "" && { actor }),
    ...(action !== "" && { action }),
    ...(resource !== "" && { resource }),
    ...(subject !== "" && { subject }),
    ...(startMs !== undefined && { startTime: new Date(startMs) }),
    ...(endMs !== undefined && { endTime: new Date(endMs) }),
  };
}

function messageOf({ id, project, time, block, ...row }: AuditRow): AuditEventMessage {
  const name = auditEventName(project === "" ? undefined : project, `${id}`);
  const message = create(AuditEventSchema, { ...row, name, block: block ?? 0n });
  message.time = timestampFromMs(time.getTime());
  return message;
}
