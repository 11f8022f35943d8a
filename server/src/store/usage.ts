import { and, desc, eq, lt, type SQL, sql } from "drizzle-orm";
import type { Reader, Tx } from "./database.ts";
import { usageBatches, usageRollups } from "./schema.ts";
import { storableText } from "./storable-text.ts";

/** Requests of one minute, link, subject and outcome. `link` is the link's id. */
export type UsageRow = typeof usageRollups.$inferSelect;

/** The row's key; the order of lists, newest minute first. */
export type UsageKey = Omit<UsageRow, "project" | "requests">;

/** Longest subject kept, UTF-16 code units: it is part of an index, whose entries are limited. */
export const USAGE_SUBJECT_MAX = 256;
/** Rows of one statement; PostgreSQL takes at most 65,535 parameters. */
const ROWS_PER_STATEMENT = 2_000;

/** Adds a proxy's counts. False when the batch was counted before: a retry after a lost answer. */
export async function addUsage(tx: Tx, batchId: string, rows: readonly UsageRow[], now: Date): Promise<boolean> {
  const batch = { id: batchId, receiveTime: now };
  const isNew = await tx.insert(usageBatches).values(batch).onConflictDoNothing().returning({ id: usageBatches.id });
  if (isNew.length === 0) return false;
  const merged = mergeRows(rows);
  for (let start = 0; start < merged.length; start += ROWS_PER_STATEMENT) {
    const target = [
      usageRollups.project,
      usageRollups.minute,
      usageRollups.link,
      usageRollups.subject,
      usageRollups.outcome,
      usageRollups.statusClass,
    ];
    const set = { requests: sql`${usageRollups.requests} + excluded.requests` };
    const part = merged.slice(start, start + ROWS_PER_STATEMENT);
    await tx.insert(usageRollups).values(part).onConflictDoUpdate({ target, set });
  }
  return true;
}

/** One row per key (a statement may not touch a row twice), in one order (two batches must not wait for each other). */
function mergeRows(rows: readonly UsageRow[]): UsageRow[] {
  const byKey = new Map<string, UsageRow>();
  for (const given of rows) {
    const row = { ...given, subject: storableText(given.subject, USAGE_SUBJECT_MAX) };
    const key = JSON.stringify([row.project, row.minute, row.link, row.subject, row.outcome, row.statusClass]);
    const requests = row.requests + (byKey.get(key)?.requests ?? 0n);
    byKey.set(key, { ...row, requests });
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** Counts of a project after a key (undefined = from the newest), of one link if given. */
export function listUsage(
  reader: Reader,
  project: string,
  page: { readonly link?: string; readonly after?: UsageKey; readonly limit: number },
): Promise<UsageRow[]> {
  const { link, after, limit } = page;
  const wanted = and(
    eq(usageRollups.project, project),
    link === undefined ? undefined : eq(usageRollups.link, link),
    after && isAfter(after),
  );
  const order = [desc(usageRollups.minute), usageRollups.link, usageRollups.subject, usageRollups.outcome];
  const rows = reader.select().from(usageRollups).where(wanted);
  return rows.orderBy(...order, usageRollups.statusClass).limit(limit);
}

const isAfter = ({ minute, link, subject, outcome, statusClass }: UsageKey): SQL => {
  const { link: l, subject: s, outcome: o, statusClass: c } = usageRollups;
  const isOlder = lt(usageRollups.minute, minute);
  const isLater = sql`(${l}, ${s}, ${o}, ${c}) > (${link}, ${subject}, ${outcome}, ${statusClass})`;
  return sql`(${isOlder} or (${eq(usageRollups.minute, minute)} and ${isLater}))`;
};

/** Forgets batches received before: a proxy retries for a limited time only. */
export async function deleteUsageBatches(tx: Tx, before: Date): Promise<void> {
  await tx.delete(usageBatches).where(lt(usageBatches.receiveTime, before));
}
