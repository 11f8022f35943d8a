import {
  ListProjectsRequestSchema,
  ProjectSchema,
  type ProjectService,
} from "@conduit-link/proto/conduit/v1/project_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import type { Principal } from "../../model/api-key.ts";
import type { ConfigChange } from "../../model/config-resource.ts";
import { ConduitError } from "../../model/errors.ts";
import { issuerName, linkName, secretName } from "../../model/resource-name.ts";
import type { Reader } from "../../store/database.ts";
import { listIssuers } from "../../store/issuers.ts";
import { listLinks } from "../../store/links.ts";
import {
  deleteProject,
  getProject,
  listProjects,
  lockProject,
  type ProjectRow,
  updateProject,
} from "../../store/projects.ts";
import { endRevocations } from "../../store/revocations.ts";
import { listSecrets } from "../../store/secrets.ts";
import { auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { readPage } from "../page-token.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { projectMessageOf } from "./convert.ts";
import { createProject } from "./create.ts";
import { lifetimesOf } from "./lifetimes.ts";
import { sessionCookiesOf } from "./session-cookies.ts";

const FIXED = [...OUTPUT_ONLY, "issuer"];
/** More than any project may hold; a project of this size is emptied by hand first. */
const RESOURCES_MAX = 100_000;
const NAMED_MAX = 10;

export const projectService = (deps: Deps): ServiceImpl<typeof ProjectService> => ({
  createProject: (request, context) => createProject(deps, request, context),

  async getProject({ name }) {
    const id = readProjectName(name, "name");
    return { project: projectMessageOf(found(await deps.store.read((reader) => getProject(reader, id)))) };
  },

  async listProjects(request, context) {
    const principal = principalOf(context);
    const scope = { method: ListProjectsRequestSchema.typeName, filter: [], principal: principal.apiKey };
    const read = (after = "", limit = 0) => deps.store.read((reader) => visible(reader, principal, after, limit));
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { projects: rows.map(projectMessageOf), nextPageToken };
  },

  async updateProject({ project: message, updateMask }, context) {
    const wanted = required(message);
    const id = readProjectName(wanted.name, "project.name");
    const event = auditOf(context, wanted.name, deps.clock.now());
    const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
      const row = found(await lockProject(tx, id));
      requireEtag(wanted.etag, row);
      const { message: next } = applyMask(ProjectSchema, projectMessageOf(row), wanted, updateMask, FIXED);
      const sessionCookies = sessionCookiesOf(next, row.issuer);
      const change = { displayName: next.displayName, ...lifetimesOf(next), sessionCookies };
      const updated = await updateProject(tx, { ...row, ...change, updateTime: new Date(deps.clock.now()) });
      return { result: updated, changes: [] };
    });
    return { project: projectMessageOf(result), configSequence: sequence };
  },

  async deleteProject({ name, etag }, context) {
    const id = readProjectName(name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      requireEtag(etag, found(await lockProject(tx, id)));
      const links = await listLinks(tx, id, "", NAMED_MAX);
      if (links.length > 0) throw inUse(links.map((link) => linkName(id, link.id)));
      const changes = await deletesOf(tx, id);
      await endRevocations(tx, id, new Date(deps.clock.now()));
      await deleteProject(tx, id);
      return { result: undefined, changes };
    });
    return { configSequence: sequence };
  },
});

/** A key of one project sees that one; an operator's all. */
async function visible(
  reader: Reader,
  { project }: Principal,
  after: string,
  limit: number,
): Promise<readonly ProjectRow[]> {
  if (project === undefined) return listProjects(reader, after, limit);
  const row = after === "" ? await getProject(reader, project) : undefined;
  return row === undefined ? [] : [row];
}

/** What the proxies must forget with a project. */
async function deletesOf(reader: Reader, project: string): Promise<ConfigChange[]> {
  const issuers = await listIssuers(reader, project, "", RESOURCES_MAX);
  const secrets = await listSecrets(reader, project, "", RESOURCES_MAX);
  return [
    ...issuers.map(({ id }) => ({ op: "delete", kind: "issuer", name: issuerName(project, id) }) as const),
    ...secrets.map(({ id }) => ({ op: "delete", kind: "secret", name: secretName(project, id) }) as const),
  ];
}

function inUse(links: readonly string[]): ConduitError {
  const names = links.join(", ");
  const detail = `The project still has links: delete ${names}`;
  return new ConduitError("resource_in_use", { detail, metadata: { used_by: names } });
}
