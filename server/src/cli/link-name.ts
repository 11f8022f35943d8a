import { wrongSetting } from "../model/exit.ts";

/** A link as people name it: by resource name, or by id beside `--project`. @throws ExitError (2) */
export function linkNameOf(link: string, project: string | undefined): string {
  if (/^projects\/[^/]+\/links\/[^/]+$/.test(link)) return link;
  if (project === undefined || link.includes("/"))
    throw wrongSetting("give the link as projects/<project>/links/<link>, or its id and --project");
  return `projects/${project}/links/${link}`;
}
