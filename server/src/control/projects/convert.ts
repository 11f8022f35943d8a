import type { Project as ProjectMessage } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { projectName } from "../../model/resource-name.ts";
import type { ProjectRow } from "../../store/projects.ts";
import { projectToProto } from "../../wire/project.ts";
import { metaOf } from "../etag.ts";

export const projectMessageOf = (row: ProjectRow): ProjectMessage =>
  projectToProto({ name: projectName(row.id), displayName: row.displayName, issuer: row.issuer }, metaOf(row));
