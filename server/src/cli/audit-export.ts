import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import type { Output } from "./output.ts";

export interface AuditExportOptions {
  /** Project id; absent = everything (operators). */
  readonly project?: string;
  /** RFC 3339. */
  readonly since?: string;
  /** RFC 3339, exclusive. */
  readonly until?: string;
}

const PAGE_SIZE = 500;

/** `conduit audit export`: events as JSON lines, newest first, as the API has them. */
export async function auditExport(
  settings: ClientSettings,
  { project, since, until }: AuditExportOptions,
  output: Output,
): Promise<void> {
  const client = controlClient(settings);
  const request = {
    parent: project === undefined ? "" : `projects/${project}`,
    pageSize: PAGE_SIZE,
    ...(since !== undefined && { startTime: since }),
    ...(until !== undefined && { endTime: until }),
  };
  let pageToken = "";
  do {
    const page = await orExit(
      client.call<{ auditEvents?: unknown[]; nextPageToken?: string }>("conduit.v1.AuditService", "ListAuditEvents", {
        ...request,
        pageToken,
      }),
    );
    for (const event of page.auditEvents ?? []) output.out(JSON.stringify(event));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
}
