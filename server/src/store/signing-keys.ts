import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, lte, notExists, or, type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type { SigningKeyPurpose, SigningKeyState } from "../model/signing-key.ts";
import type { Reader, Tx } from "./database.ts";
import { preparedSelect, textsOf } from "./prepared-query.ts";
import { insertedRow, updatedRow } from "./row-change.ts";
import { proxies } from "./schema.ts";
import { signingKeys } from "./schema-tokens.ts";

/** The private JWK is sealed for {table: "signing_keys", column: "sealed_private_jwk", project, row: kid, version: 1}. */
export type SigningKeyRow = typeof signingKeys.$inferSelect;

/** @throws ConduitError `resource_exists` when the key is known, or the project has another ACTIVE one of its purpose */
export async function insertSigningKey(tx: Tx, row: SigningKeyRow): Promise<SigningKeyRow> {
  return insertedRow(await tx.insert(signingKeys).values(row).onConflictDoNothing().returning());
}

/** The key that signs now; undefined when the project has none for this. */
export async function activeSigningKey(
  reader: Reader,
  project: string,
  purpose: SigningKeyPurpose = "TOKEN",
): Promise<SigningKeyRow | undefined> {
  const isActive = and(isFor(project, purpose), eq(signingKeys.state, "ACTIVE"));
  const [row] = await reader.select().from(signingKeys).where(isActive);
  return row;
}

const SIGNING_TOKENS = preparedSelect(
  signingKeys,
  sql`${signingKeys.project} = any(${textsOf("projects")}) and ${signingKeys.purpose} = 'TOKEN' and ${signingKeys.state} = 'ACTIVE'`,
);

/** The keys that sign these projects' tokens now. */
export const activeTokenKeys = (reader: Reader, projects: readonly string[]): Promise<SigningKeyRow[]> =>
  SIGNING_TOKENS.run(reader, { projects: JSON.stringify(projects) });

export async function getSigningKey(reader: Reader, project: string, kid: string): Promise<SigningKeyRow | undefined> {
  const isKey = and(eq(signingKeys.project, project), eq(signingKeys.kid, kid));
  const [row] = await reader.select().from(signingKeys).where(isKey);
  return row;
}

const isFor = (project: string, purpose: SigningKeyPurpose) =>
  and(eq(signingKeys.project, project), eq(signingKeys.purpose, purpose));

/** Keys of a project for these purposes in any of these states, oldest first. */
export function listSigningKeys(
  reader: Reader,
  project: string,
  states: readonly SigningKeyState[],
  purposes: readonly SigningKeyPurpose[] = ["TOKEN"],
): Promise<SigningKeyRow[]> {
  const { state, purpose } = signingKeys;
  const isOne = and(inArray(state, [...states]), inArray(purpose, [...purposes]));
  const wanted = and(eq(signingKeys.project, project), isOne);
  return reader.select().from(signingKeys).where(wanted).orderBy(asc(signingKeys.createTime), asc(signingKeys.kid));
}

/** Where a page of keys begins: after this one. */
export type SigningKeyKey = Pick<SigningKeyRow, "createTime" | "kid">;

/** Keys of a project, newest first. */
export function pageOfSigningKeys(
  reader: Reader,
  project: string,
  after: SigningKeyKey | undefined,
  limit: number,
): Promise<SigningKeyRow[]> {
  const { createTime, kid } = signingKeys;
  const isLater: SQL | undefined =
    after && or(lt(createTime, after.createTime), and(eq(createTime, after.createTime), lt(kid, after.kid)));
  const page = and(eq(signingKeys.project, project), isLater);
  return reader.select().from(signingKeys).where(page).orderBy(desc(createTime), desc(kid)).limit(limit);
}

/** What changes in the life of a key. */
export type SigningKeyChange = Partial<
  Pick<SigningKeyRow, "state" | "activateTime" | "retireTime" | "scheduledActivateTime">
>;

/** @throws ConduitError `etag_mismatch` when the key is gone meanwhile */
export async function changeSigningKey(tx: Tx, kid: string, change: SigningKeyChange): Promise<SigningKeyRow> {
  return updatedRow(await tx.update(signingKeys).set(change).where(eq(signingKeys.kid, kid)).returning());
}

/** Notes a sequence of the configuration that holds the key, if none is noted. */
export async function notePublished(tx: Tx, kid: string, sequence: bigint): Promise<void> {
  const isUnknown = and(eq(signingKeys.kid, kid), isNull(signingKeys.publishedSequence));
  await tx.update(signingKeys).set({ publishedSequence: sequence }).where(isUnknown);
}

/** Moments that make a key due. */
export interface KeyWorkTimes {
  readonly now: Date;
  /** Keys that stopped signing before it leave the key set. */
  readonly retiredBefore: Date;
  /** Keys that have signed since before it get a successor. */
  readonly activeBefore: Date;
}

/** Keys of one purpose in one project. */
export type KeyGroup = Pick<SigningKeyRow, "project" | "purpose">;

/** Where a key is due, at most `limit`. */
export function groupsWithKeyWork(reader: Reader, times: KeyWorkTimes, limit: number): Promise<KeyGroup[]> {
  const { state, project, purpose, retireTime, activateTime, scheduledActivateTime } = signingKeys;
  const successor = alias(signingKeys, "successor");
  const isScheduled = and(
    eq(successor.project, project),
    eq(successor.purpose, purpose),
    eq(successor.state, "PENDING"),
    isNotNull(successor.scheduledActivateTime),
  );
  const hasNoSuccessor = notExists(sql`(select 1 from ${signingKeys} as "successor" where ${isScheduled})`);
  const due = or(
    and(eq(state, "RETIRING"), lte(retireTime, times.retiredBefore)),
    and(eq(state, "PENDING"), lte(scheduledActivateTime, times.now)),
    and(eq(state, "ACTIVE"), lte(activateTime, times.activeBefore), hasNoSuccessor),
  );
  const groups = reader.select({ project, purpose }).from(signingKeys).where(due).groupBy(project, purpose);
  return groups.orderBy(asc(project), asc(purpose)).limit(limit);
}

/** Proxies that may serve and have not applied `sequence` of `epoch`, by id. @param heardSince older ones count as gone */
export async function proxiesBehind(
  reader: Reader,
  at: { readonly epoch: string; readonly sequence: bigint },
  heardSince: Date,
): Promise<string[]> {
  const isBehind = or(sql`${proxies.appliedEpoch} <> ${at.epoch}`, lt(proxies.appliedSequence, at.sequence));
  const rows = reader
    .select({ id: proxies.id })
    .from(proxies)
    .where(and(isNull(proxies.revokeTime), gt(proxies.lastSeenTime, heardSince), isBehind));
  return (await rows.orderBy(asc(proxies.id))).map(({ id }) => id);
}
