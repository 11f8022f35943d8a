import type { Project as ProjectMessage } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { projectName } from "../../model/resource-name.ts";
import type { ProjectRow } from "../../store/projects.ts";
import { projectToProto } from "../../wire/project.ts";
import { metaOf } from "../etag.ts";

export function projectMessageOf(row: ProjectRow): ProjectMessage {
  const { id, displayName, issuer, accessTokenLifetimeMs, accessTokenLifetimeMaxMs } = row;
  const { sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs, sessionCookies } = row;
  const ofTokens = { accessTokenLifetimeMs, accessTokenLifetimeMaxMs };
  const lifetimes = { ...ofTokens, sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs };
  return projectToProto({ name: projectName(id), displayName, issuer, ...lifetimes, sessionCookies }, metaOf(row));
}
