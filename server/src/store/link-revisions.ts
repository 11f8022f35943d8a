import { and, desc, eq, lt } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { linkRevisions } from "./schema-history.ts";

export type LinkRevisionRow = typeof linkRevisions.$inferSelect;

/** Writes down a version just written; in the same transaction, so that none is missing. */
export async function insertLinkRevision(tx: Tx, row: LinkRevisionRow): Promise<void> {
  await tx.insert(linkRevisions).values(row);
}

const ofLink = (project: string, link: string) => and(eq(linkRevisions.project, project), eq(linkRevisions.link, link));

export async function getLinkRevision(
  reader: Reader,
  project: string,
  link: string,
  version: number,
): Promise<LinkRevisionRow | undefined> {
  const isVersion = and(ofLink(project, link), eq(linkRevisions.version, version));
  const [row] = await reader.select().from(linkRevisions).where(isVersion);
  return row;
}

/** Newest first, before `beforeVersion` (undefined = from the newest). */
export function listLinkRevisions(
  reader: Reader,
  project: string,
  link: string,
  beforeVersion: number | undefined,
  limit: number,
): Promise<LinkRevisionRow[]> {
  const page = beforeVersion === undefined ? undefined : lt(linkRevisions.version, beforeVersion);
  const rows = reader
    .select()
    .from(linkRevisions)
    .where(and(ofLink(project, link), page));
  return rows.orderBy(desc(linkRevisions.version)).limit(limit);
}
