import { create } from "@bufbuild/protobuf";
import {
  ListUsageRequestSchema,
  type UsageRollup,
  UsageRollupSchema,
  type UsageService,
} from "@conduit-link/proto/conduit/v1/usage_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { invalidFields } from "../../model/errors.ts";
import { linkName } from "../../model/resource-name.ts";
import { listUsage, type UsageKey, type UsageRow } from "../../store/usage.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { readNameInProject, readProjectName } from "../resource-path.ts";

export const usageService = (deps: Deps): ServiceImpl<typeof UsageService> => ({
  async listUsage(request, context) {
    const project = readProjectName(request.parent, "parent");
    const link = request.link === "" ? undefined : readLinkOf(project, request.link);
    const { apiKey } = principalOf(context);
    const scope = { method: ListUsageRequestSchema.typeName, filter: [project, link ?? ""], principal: apiKey };
    const read = (after: string | undefined, limit: number) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        const from = after === undefined ? {} : { after: keyFrom(after) };
        return listUsage(reader, project, { limit, ...from, ...(link !== undefined && { link }) });
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, keyText);
    return { usageRollups: rows.map(rollupOf), nextPageToken };
  },
});

/** Id of the link. Throws `field_invalid` for another project's: the caller was let in for `parent` only. */
function readLinkOf(parent: string, name: string): string {
  const { project, id } = readNameInProject("link", name, "link");
  if (project !== parent) throw invalidFields([{ field: "link", description: "must be a link of parent" }]);
  return id;
}

function rollupOf(row: UsageRow): UsageRollup {
  const { project, link, subject, outcome, statusClass, requests } = row;
  const name = link === "" ? "" : linkName(project, link);
  const rollup = create(UsageRollupSchema, { link: name, subject, outcome, statusClass, requests });
  rollup.minute = timestampFromMs(row.minute.getTime());
  return rollup;
}

/** A row's key as the text in a page token. */
const keyText = ({ minute, link, subject, outcome, statusClass }: UsageRow): string =>
  JSON.stringify([minute.getTime(), link, subject, outcome, statusClass]);

/** Reads what `keyText` wrote: the token's MAC vouches for it. */
function keyFrom(text: string): UsageKey {
  const [minuteMs, link, subject, outcome, statusClass] = JSON.parse(text) as [number, string, string, string, number];
  return { minute: new Date(minuteMs), link, subject, outcome, statusClass };
}
