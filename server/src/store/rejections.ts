import { sql } from "drizzle-orm";
import { type Reader, rowsOf } from "./database.ts";
import { proxies } from "./schema.ts";

/** How many proxies could not apply what. */
export interface Rejections {
  /** All proxies. */
  readonly proxies: number;
  /** Proxies that keep an older version, by resource name; absent = none. */
  readonly byName: ReadonlyMap<string, number>;
}

/** What the proxies last reported about these resources. */
export async function countRejections(reader: Reader, names: readonly string[]): Promise<Rejections> {
  const wanted = sql`select jsonb_array_elements_text(${JSON.stringify(names)}::jsonb)`;
  const [rows, [all]] = [
    await rowsOf<{ name: string; count: number }>(
      reader,
      sql`select item->>'name' as name, count(distinct ${proxies.id})::int as count
          from ${proxies}, jsonb_array_elements(${proxies.rejected}) as item
          where item->>'name' in (${wanted}) group by 1`,
    ),
    await rowsOf<{ count: number }>(reader, sql`select count(*)::int as count from ${proxies}`),
  ];
  return { proxies: all?.count ?? 0, byName: new Map(rows.map(({ name, count }) => [name, count])) };
}
