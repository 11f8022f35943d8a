import { sql } from "drizzle-orm";
import { type Reader, rowsOf } from "./database.ts";
import { configCurrent, proxies } from "./schema.ts";

/** What proxies could not apply. */
export interface Rejection {
  /** Proxies that keep an older version. */
  readonly proxies: number;
  /** Why, as one of them says. */
  readonly message: string;
}

/** How many proxies could not apply what. */
export interface Rejections {
  /** All that were heard of. */
  readonly proxies: number;
  /** By resource name; absent = none. */
  readonly byName: ReadonlyMap<string, Rejection>;
}

/**
 * What the proxies that were heard of since then last reported about these links as they are now: a version that has been
 * replaced meanwhile, which they do not know yet, is nothing to complain of.
 */
export async function countRejections(reader: Reader, names: readonly string[], heardSince: Date): Promise<Rejections> {
  const wanted = sql`select jsonb_array_elements_text(${JSON.stringify(names)}::jsonb)`;
  const isCurrent = sql`not exists (select from ${configCurrent} where ${configCurrent.kind} = 'link'
    and ${configCurrent.name} = item->>'name' and ${configCurrent.version} > (item->>'version')::numeric)`;
  const isHeard = sql`${proxies.revokeTime} is null and ${proxies.lastSeenTime} >= ${heardSince.toISOString()}::timestamptz`;
  const [rows, [all]] = [
    await rowsOf<{ name: string; count: number; message: string }>(
      reader,
      sql`select item->>'name' as name, count(distinct ${proxies.id})::int as count, min(item->>'message') as message
          from ${proxies}, jsonb_array_elements(${proxies.rejected}) as item
          where ${isHeard} and item->>'name' in (${wanted}) and ${isCurrent} group by 1`,
    ),
    await rowsOf<{ count: number }>(reader, sql`select count(*)::int as count from ${proxies} where ${isHeard}`),
  ];
  const byName = new Map(rows.map(({ name, count, message }) => [name, { proxies: count, message }]));
  return { proxies: all?.count ?? 0, byName };
}
