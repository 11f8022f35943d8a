import { create } from "@bufbuild/protobuf";
import { type Project as ProjectMessage, ProjectSchema } from "@conduit-link/proto/conduit/v1/project_service_pb";
import type { Project } from "../model/project.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { durationFromMs } from "./time.ts";

export function projectToProto(project: Project, meta: ResourceMeta): ProjectMessage {
  const message = create(ProjectSchema, {
    ...metaToProto(meta),
    name: project.name,
    displayName: project.displayName,
    issuer: project.issuer,
  });
  message.accessTokenLifetime = durationFromMs(project.accessTokenLifetimeMs);
  message.accessTokenLifetimeMax = durationFromMs(project.accessTokenLifetimeMaxMs);
  message.sessionIdleLifetime = durationFromMs(project.sessionIdleLifetimeMs);
  message.sessionAbsoluteLifetime = durationFromMs(project.sessionAbsoluteLifetimeMs);
  return message;
}
