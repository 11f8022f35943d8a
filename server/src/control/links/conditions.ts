import type { Link as LinkMessage } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LIVE_WITHIN_MS } from "../../policy/rollout.ts";
import type { LinkRow } from "../../store/links.ts";
import { countRejections } from "../../store/rejections.ts";
import type { Deps } from "../deps.ts";
import { linkMessageOf, linkOf } from "./convert.ts";

/** Links with what the live proxies say about them. */
export async function withConditions(deps: Deps, rows: readonly LinkRow[]): Promise<LinkMessage[]> {
  const names = rows.map((row) => linkOf(row).name);
  const heardSince = new Date(deps.clock.now() - LIVE_WITHIN_MS);
  const rejections = await deps.store.read((reader) => countRejections(reader, names, heardSince));
  return rows.map((row) => {
    const by = rejections.byName.get(linkOf(row).name);
    return linkMessageOf(row, by && { count: by.proxies, of: rejections.proxies, message: by.message });
  });
}

/** As `withConditions`, one. */
export async function describeLink(deps: Deps, row: LinkRow): Promise<LinkMessage> {
  const [link] = await withConditions(deps, [row]);
  return link ?? linkMessageOf(row, undefined);
}
