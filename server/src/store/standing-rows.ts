import { type SQL, sql } from "drizzle-orm";
import type { AuditEvent } from "../model/audit-event.ts";
import { auditInsert, auditText } from "./audit.ts";
import type { Tx } from "./database.ts";
import { preparedSql, textsOf } from "./prepared-query.ts";
import { apiKeys, links, projects } from "./schema.ts";
import { auditBlocks } from "./schema-audit.ts";
import { revocations, signingKeys } from "./schema-tokens.ts";

/** A row as it was read some time ago. */
export interface StandingRow {
  readonly table: "projects" | "links" | "api_keys" | "signing_keys";
  /** Its primary key. */
  readonly id: string;
  /** Of a signing key 0: it is the one that signs the project's tokens, or it is not. */
  readonly version: number;
}

/** What must be true at the moment of a deed. */
export interface Standing {
  /** They are still as they were read. */
  readonly rows: readonly StandingRow[];
  /** `keyOfTarget`, in hex: nothing withdraws what is issued for them from `issuedAtMs` on. */
  readonly targetKeys: readonly string[];
  /** In whole seconds. */
  readonly issuedAtMs: number;
}

// No row comes back under the version it had: ids of links and keys are never used again, and a project that was deleted
// and made anew has another signing key.
const hasChanged: SQL = sql`exists (
  select 1 from jsonb_to_recordset(${sql.placeholder("rows")}::text::jsonb) as was("table" text, "id" text, "version" int)
  where not case was."table"
    when 'projects' then exists (
      select 1 from ${projects} as it where it."id" = was."id" and it."version" = was."version")
    when 'links' then exists (select 1 from ${links} as it where it."id" = was."id" and it."version" = was."version")
    when 'api_keys' then exists (
      select 1 from ${apiKeys} as it where it."key_hash" = was."id" and it."version" = was."version")
    else exists (
      select 1 from ${signingKeys} as it where it."kid" = was."id" and it."state" = 'ACTIVE' and it."purpose" = 'TOKEN')
  end)`;

const isWithdrawn: SQL = sql`exists (
  select 1 from ${revocations} as it
  where it."target_key" = any(array(select decode(hex, 'hex') from unnest(${textsOf("keys")}) as given(hex)))
    and it."expire_time" > ${sql.placeholder("now")}::timestamptz
    and it."issued_before" >= ${sql.placeholder("issuedAt")}::timestamptz)`;

const INSERT_IF_STANDING = preparedSql<{ records: number }>(
  sql`with recorded as (
    ${auditInsert(sql` where not ${hasChanged} and not ${isWithdrawn}`)} returning 1)
  select count(*)::int from recorded`,
  { records: auditBlocks.records },
);

/**
 * Writes down what this statement's caller does, if all of it is still true now; false = it is not, and nothing was
 * written. So the deed may rest on what was read long ago.
 */
export async function recordAuditIfStanding(
  tx: Tx,
  events: readonly AuditEvent[],
  { rows, targetKeys, issuedAtMs }: Standing,
  now: Date,
): Promise<boolean> {
  const [answer] = await INSERT_IF_STANDING.run(tx, {
    records: auditText(events),
    rows: JSON.stringify(rows),
    keys: JSON.stringify(targetKeys),
    now: now.toISOString(),
    issuedAt: new Date(issuedAtMs).toISOString(),
  });
  return answer?.records === events.length;
}
