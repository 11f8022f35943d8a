import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { linkNameOf } from "./link-name.ts";
import { type Output, printTable } from "./output.ts";

export interface LinkHistoryOptions {
  readonly project?: string;
  readonly json: boolean;
}

interface Revision {
  readonly name: string;
  readonly action?: string;
  readonly actor?: string;
  readonly reason?: string;
  readonly createTime?: string;
  /** A FieldMask in JSON: paths in lower camel case, by commas. */
  readonly changedFields?: string;
}

const COLUMNS = ["revision", "time", "action", "actor", "changed", "reason"];

/** `conduit link history`: every version of a link, newest first, with who changed what and why. */
export async function linkHistory(
  settings: ClientSettings,
  link: string,
  { project, json }: LinkHistoryOptions,
  output: Output,
): Promise<void> {
  const client = controlClient(settings);
  const parent = linkNameOf(link, project);
  const rows: Revision[] = [];
  let pageToken = "";
  do {
    const page = await orExit(
      client.call<{ linkRevisions?: Revision[]; nextPageToken?: string }>(
        "conduit.v1.LinkService",
        "ListLinkRevisions",
        { parent, pageToken },
      ),
    );
    rows.push(...(page.linkRevisions ?? []));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  printTable(output, COLUMNS, rows.map(toColumns), json);
}

const toColumns = ({ name, createTime, action, actor, changedFields, reason }: Revision) => ({
  revision: Number(name.slice(name.lastIndexOf("/") + 1)),
  time: createTime ?? "",
  action: action ?? "",
  actor: actor ?? "",
  changed: protoPathsOf(changedFields ?? ""),
  reason: reason ?? "",
});

/** `displayName,upstream.baseUrl` → `display_name, upstream.base_url`, the names of every other place. */
const protoPathsOf = (mask: string): string =>
  mask.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll(",", ", ");
