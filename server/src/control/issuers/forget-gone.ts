import { idOf, issuerName, projectOf } from "../../model/resource-name.ts";
import { existingIssuers } from "../../store/issuers.ts";
import type { Deps } from "../deps.ts";

/** Asked for in one query: PostgreSQL takes 65,535 parameters. */
const BATCH = 10_000;

/** Forgets the fetched keys of issuers that have been deleted, by whichever replica. */
export async function forgetGoneIssuers({ store, jwksSources }: Pick<Deps, "store" | "jwksSources">): Promise<void> {
  const held = [...jwksSources.issuerNames()].map((name) => ({ project: projectOf(name), id: idOf(name) }));
  const remaining = new Set<string>();
  for (let at = 0; at < held.length; at += BATCH) {
    const found = await store.read((reader) => existingIssuers(reader, held.slice(at, at + BATCH)));
    for (const { project, id } of found) remaining.add(issuerName(project, id));
  }
  // What has come meanwhile was not asked for: it stays too.
  const asked = new Set(held.map(({ project, id }) => issuerName(project, id)));
  for (const name of jwksSources.issuerNames()) if (!asked.has(name)) remaining.add(name);
  jwksSources.retain(remaining);
}
