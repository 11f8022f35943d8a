import { readNameInProject } from "../resource-path.ts";

/** Ids in a key's name as rows have them: project null = the installation's. @throws ConduitError `field_invalid` */
export function readKeyName(name: string, field: string): { project: string | null; id: string } {
  const { project, id } = readNameInProject("apiKey", name, field);
  return { project: project === "" ? null : project, id };
}
