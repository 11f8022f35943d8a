import { create } from "@bufbuild/protobuf";
import { type Project as ProjectMessage, ProjectSchema } from "@conduit-link/proto/conduit/v1/project_service_pb";
import type { Project } from "../model/project.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";

export const projectToProto = (project: Project, meta: ResourceMeta): ProjectMessage =>
  create(ProjectSchema, {
    ...metaToProto(meta),
    name: project.name,
    displayName: project.displayName,
    issuer: project.issuer,
  });
