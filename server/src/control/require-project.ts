import type { Reader } from "../store/database.ts";
import { getProject } from "../store/projects.ts";
import { found } from "./resource-path.ts";

/** Throws `resource_not_found`: an operator's key is let in for every project, also for one that is not there. */
export async function requireProject(reader: Reader, project: string): Promise<void> {
  found(await getProject(reader, project));
}
