import {
  ListRevocationsRequestSchema,
  type RevocationService,
} from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import { deleteRevocation, listRevocations } from "../../store/revocations.ts";
import { revocationToMessage } from "../../wire/revocation.ts";
import { auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { readNameInProject, readProjectName } from "../resource-path.ts";
import { revocationDelete, revocationOf } from "../revocation-write.ts";
import { createRevocation } from "./create.ts";

export const revocationService = (deps: Deps): ServiceImpl<typeof RevocationService> => ({
  createRevocation: (request, context) => createRevocation(deps, request, context),

  async listRevocations(request, context) {
    const project = readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListRevocationsRequestSchema.typeName, filter: [project], principal: apiKey };
    const now = new Date(deps.clock.now());
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return listRevocations(reader, project, now, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { revocations: rows.map((row) => revocationToMessage(revocationOf(row))), nextPageToken };
  },

  async deleteRevocation({ name }, context) {
    const { project, id } = readNameInProject("revocation", name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      if (!(await deleteRevocation(tx, project, id))) throw new ConduitError("resource_not_found");
      return { result: undefined, changes: [revocationDelete({ project, id })] };
    });
    return { configSequence: sequence };
  },
});
