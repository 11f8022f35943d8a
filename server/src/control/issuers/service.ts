import { type IssuerService, ListIssuersRequestSchema } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import { deleteIssuer, getIssuer, listIssuers, lockIssuer } from "../../store/issuers.ts";
import { auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { issuerOf } from "../issuer-row.ts";
import { readPage } from "../page-token.ts";
import type { ProxyStatuses } from "../proxy-status.ts";
import { requireProject } from "../require-project.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import { requireUnusedIssuer } from "../users-of-resource.ts";
import { keyStatusOf, refreshKeys } from "./key-status.ts";
import { createIssuer, issuerMessageOf, updateIssuer } from "./write.ts";

export const issuerService = (deps: Deps, statuses: ProxyStatuses): ServiceImpl<typeof IssuerService> => ({
  createIssuer: (request, context) => createIssuer(deps, request, context),
  updateIssuer: (request, context) => updateIssuer(deps, request, context),

  refreshKeys: ({ name }, context) => refreshKeys(deps, name, context),

  async getIssuer({ name }) {
    const { project, id } = readNameInProject("issuer", name, "name");
    const row = found(await deps.store.read((reader) => getIssuer(reader, project, id)));
    const issuer = issuerMessageOf(row);
    issuer.keyStatus = await keyStatusOf(deps, statuses, issuerOf(row));
    return { issuer };
  },

  async listIssuers(request, context) {
    const project = readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListIssuersRequestSchema.typeName, filter: [project], principal: apiKey };
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return listIssuers(reader, project, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { issuers: rows.map(issuerMessageOf), nextPageToken };
  },

  async deleteIssuer({ name, etag }, context) {
    const { project, id } = readNameInProject("issuer", name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      // Locked first: a link that is about to trust it waits, and then finds it gone.
      const row = found(await lockIssuer(tx, project, id));
      requireEtag(etag, row);
      if (row.spec.keys.kind === "built_in")
        throw new ConduitError("resource_in_use", { detail: "The built-in issuer is deleted with its project only" });
      await requireUnusedIssuer(tx, project, name);
      await deleteIssuer(tx, project, id);
      return { result: undefined, changes: [{ op: "delete", kind: "issuer", name }] };
    });
    return { configSequence: sequence };
  },
});
