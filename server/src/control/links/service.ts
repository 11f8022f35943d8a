import {
  type Link as LinkMessage,
  type LinkService,
  ListLinksRequestSchema,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import type { Link } from "../../model/link.ts";
import { linkTokenName } from "../../model/resource-name.ts";
import { allLinkTokens } from "../../store/link-tokens.ts";
import { deleteLink, getLink, listLinks, lockLink } from "../../store/links.ts";
import type { AuditedCall } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import { assertionKeySteps } from "./assertion.ts";
import { linkEvent, writeRevision } from "./change.ts";
import { describeLink, withConditions } from "./conditions.ts";
import { linkChange, linkOf } from "./convert.ts";
import { createLink } from "./create.ts";
import { createDebugKey } from "./debug-keys.ts";
import { linkRevisionMethods } from "./revisions.ts";
import { rollbackLink } from "./rollback.ts";
import { updateLink } from "./update.ts";

export const linkService = (deps: Deps): ServiceImpl<typeof LinkService> => ({
  createLink: (request, context) => createLink(deps, request, context),
  updateLink: (request, context) => updateLink(deps, request, context),
  disableLink: (request, context) => setState(deps, request, "DISABLED", context),
  createDebugKey: (request, context) => createDebugKey(deps, request, context),
  enableLink: (request, context) => setState(deps, request, "ACTIVE", context),
  rollbackLink: (request, context) => rollbackLink(deps, request, context),
  ...linkRevisionMethods(deps),

  async getLink({ name }) {
    const { project, id } = readNameInProject("link", name, "name");
    const row = found(await deps.store.read((reader) => getLink(reader, project, id)));
    return { link: await describeLink(deps, row) };
  },

  async listLinks(request, context) {
    const project = readProjectName(request.parent, "parent");
    const scope = {
      method: ListLinksRequestSchema.typeName,
      filter: [project],
      principal: principalOf(context).apiKey,
    };
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return listLinks(reader, project, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { links: await withConditions(deps, rows), nextPageToken };
  },

  async deleteLink({ name, etag, reason }, context) {
    const { project, id } = readNameInProject("link", name, "name");
    const event = linkEvent(deps, context, name, { reason });
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      const row = found(await lockLink(tx, project, id));
      requireEtag(etag, row);
      const steps = assertionKeySteps(deps, project, row.spec, undefined, undefined);
      await steps.prepare(tx);
      const tokens = (await allLinkTokens(tx, id)).map((token) => linkTokenName(project, id, token.id));
      await deleteLink(tx, project, id);
      const gone = tokens.map((token) => ({ op: "delete" as const, kind: "link_token" as const, name: token }));
      const changes = [...gone, { op: "delete" as const, kind: "link" as const, name }, ...(await steps.changes(tx))];
      return { result: undefined, changes };
    });
    return { configSequence: sequence };
  },
});

async function setState(
  deps: Deps,
  request: { readonly name: string; readonly reason: string },
  state: Link["state"],
  context: AuditedCall,
): Promise<{ link: LinkMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("link", request.name, "name");
  const event = linkEvent(deps, context, request.name, request);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockLink(tx, project, id));
    const link: Link = { ...linkOf(row), state };
    return { result: await writeRevision(tx, row, link, event), changes: [linkChange(link, row.debugKeys)] };
  });
  return { link: await describeLink(deps, result), configSequence: sequence };
}
