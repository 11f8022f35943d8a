import { and, asc, eq, sql } from "drizzle-orm";
import type { EncodedResource } from "../model/config-digest.ts";
import type { ConfigResourceKind } from "../model/config-resource.ts";
import { FLEET } from "./config-head.ts";
import { type Reader, rowsOf, type Tx } from "./database.ts";
import { configCurrent } from "./schema.ts";

/** Which resource. */
export interface ResourceKey {
  readonly kind: ConfigResourceKind;
  readonly name: string;
}

const columns = {
  kind: configCurrent.kind,
  name: configCurrent.name,
  version: configCurrent.version,
  payload: configCurrent.payload,
};
const order = [asc(configCurrent.kind), asc(configCurrent.name)];

/** Those of these resources that exist, locked until the transaction ends, in one order so that nobody waits in a circle. */
export function lockConfigCurrent(tx: Tx, keys: readonly ResourceKey[]): Promise<EncodedResource[]> {
  const wanted = JSON.stringify(keys.map(({ kind, name }) => ({ kind, name })));
  const isWanted = sql`(${configCurrent.kind}, ${configCurrent.name}) in
    (select k.kind, k.name from jsonb_to_recordset(${wanted}::jsonb) as k(kind text, name text))`;
  const rows = tx
    .select(columns)
    .from(configCurrent)
    .where(and(eq(configCurrent.fleet, FLEET), isWanted));
  return rows.orderBy(...order).for("update");
}

/** One resource as the proxies have it, or are about to; undefined = there is none. */
export async function getConfigCurrent(
  reader: Reader,
  { kind, name }: ResourceKey,
): Promise<EncodedResource | undefined> {
  const isIt = and(eq(configCurrent.fleet, FLEET), eq(configCurrent.kind, kind), eq(configCurrent.name, name));
  const [row] = await reader.select(columns).from(configCurrent).where(isIt);
  return row;
}

/**
 * Waits for whoever is making one of these resources, and keeps others from it until the transaction ends: there is no row
 * yet that could be locked, and the later of two would otherwise have to start over, again and again under load.
 */
export async function lockNewResources(tx: Tx, keys: readonly ResourceKey[]): Promise<void> {
  const names = JSON.stringify(keys.map(({ kind, name }) => `conduit ${kind} ${name}`).sort());
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(name, 0))
    from jsonb_array_elements_text(${names}::jsonb) with ordinality as k(name, place) order by place`);
}

/** All resources in pages, after a key (undefined = from the first). */
export function readConfigCurrent(
  reader: Reader,
  after: ResourceKey | undefined,
  limit: number,
): Promise<EncodedResource[]> {
  const isAfter = after && sql`(${configCurrent.kind}, ${configCurrent.name}) > (${after.kind}, ${after.name})`;
  const page = and(eq(configCurrent.fleet, FLEET), isAfter);
  return reader
    .select(columns)
    .from(configCurrent)
    .where(page)
    .orderBy(...order)
    .limit(limit);
}

/**
 * All resources in parts, in no order, in one pass over the table: pages by key may each cost a sort of everything while the
 * table is too new for the planner to know it. Only inside a transaction, once in each.
 */
export async function* scanConfigCurrent(tx: Reader, limit: number): AsyncGenerator<readonly EncodedResource[]> {
  await tx.execute(sql`declare everything no scroll cursor for
    select kind, name, version::text as version, payload from config_current where fleet = ${sql.raw(`'${FLEET}'`)}`);
  const fetch = sql.raw(`fetch ${limit} from everything`);
  for (;;) {
    const rows = await rowsOf<Omit<EncodedResource, "version"> & { version: string }>(tx, fetch);
    if (rows.length === 0) return;
    yield rows.map((row) => ({ ...row, version: BigInt(row.version) }));
  }
}

/** All resources of a kind, locked until the transaction ends, in the order of `lockConfigCurrent`. */
export function lockConfigCurrentOf(tx: Tx, kind: ConfigResourceKind): Promise<EncodedResource[]> {
  const isKind = and(eq(configCurrent.fleet, FLEET), eq(configCurrent.kind, kind));
  return tx
    .select(columns)
    .from(configCurrent)
    .where(isKind)
    .orderBy(...order)
    .for("update");
}

/** How many resources there are. */
export async function countConfigCurrent(reader: Reader): Promise<number> {
  const count = sql<string>`count(*)`;
  const [row] = await reader.select({ count }).from(configCurrent).where(eq(configCurrent.fleet, FLEET));
  return Number(row?.count ?? 0);
}
