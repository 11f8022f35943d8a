import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printTable } from "./output.ts";

interface ProxyRow {
  readonly name: string;
  readonly displayName?: string;
  readonly version?: string;
  readonly appliedSequence?: string;
  readonly lag?: string;
  readonly state?: string;
  readonly credentialCreateTime?: string;
  readonly lagDuration?: string;
  readonly live?: boolean;
  readonly connected?: boolean;
  readonly lastSeenTime?: string;
  readonly rejected?: readonly unknown[];
}

const COLUMNS = [
  ...["name", "display_name", "version", "state", "live", "connected"],
  ...["sequence", "lag", "lag_seconds", "rejected", "last_seen", "credential_created"],
];

/** `conduit proxy list`: every proxy and what it has applied. */
export async function proxyList(
  settings: ClientSettings,
  { json }: { readonly json: boolean },
  output: Output,
): Promise<void> {
  const client = controlClient(settings);
  const rows: ProxyRow[] = [];
  let pageToken = "";
  do {
    const page = await orExit(
      client.call<{ proxies?: ProxyRow[]; nextPageToken?: string }>("conduit.v1.ProxyService", "ListProxies", {
        pageToken,
      }),
    );
    rows.push(...(page.proxies ?? []));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  printTable(output, COLUMNS, rows.map(toColumns), json);
}

const toColumns = (proxy: ProxyRow) => ({
  name: proxy.name,
  display_name: proxy.displayName ?? "",
  version: proxy.version ?? "",
  state: (proxy.state ?? "").replace("STATE_", ""),
  live: proxy.live ?? false,
  connected: proxy.connected ?? false,
  sequence: Number(proxy.appliedSequence ?? 0),
  lag: Number(proxy.lag ?? 0),
  lag_seconds: proxy.lagDuration === undefined ? "" : Number.parseFloat(proxy.lagDuration),
  rejected: proxy.rejected?.length ?? 0,
  last_seen: proxy.lastSeenTime ?? "",
  credential_created: proxy.credentialCreateTime ?? "",
});
