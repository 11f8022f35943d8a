import { type LinkService, ListLinkRevisionsRequestSchema } from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { listLinkRevisions } from "../../store/link-revisions.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { found, readNameInProject, readRevisionName } from "../resource-path.ts";
import { compareRevisions, revisionOf, revisionToProto } from "./history.ts";

type RevisionMethods = Pick<
  ServiceImpl<typeof LinkService>,
  "listLinkRevisions" | "getLinkRevision" | "compareLinkRevisions"
>;

/** The reading methods of a link's history; `rollbackLink` writes. */
export const linkRevisionMethods = (deps: Deps): RevisionMethods => ({
  async listLinkRevisions(request, context) {
    const { project, id } = readNameInProject("link", request.parent, "parent");
    const scope = {
      method: ListLinkRevisionsRequestSchema.typeName,
      filter: [request.parent],
      principal: principalOf(context).apiKey,
    };
    const read = (before: string | undefined, limit = 0) =>
      deps.store.read((reader) =>
        listLinkRevisions(reader, project, id, before === undefined ? undefined : Number(before), limit),
      );
    const { rows, nextPageToken } = await readPage(
      deps.pageTokens,
      scope,
      request,
      read,
      ({ version }) => `${version}`,
    );
    // Every link has a first version: without one there never was such a link.
    if (request.pageToken === "") found(rows[0]);
    return { linkRevisions: rows.map(revisionToProto), nextPageToken };
  },

  async getLinkRevision({ name }) {
    const { project, link, number } = readRevisionName(name, "name");
    return {
      linkRevision: revisionToProto(await deps.store.read((reader) => revisionOf(reader, project, link, number))),
    };
  },

  async compareLinkRevisions({ name, fromRevision, toRevision }) {
    const ids = readNameInProject("link", name, "name");
    return deps.store.read((reader) => compareRevisions(reader, ids, fromRevision, toRevision));
  },
});
