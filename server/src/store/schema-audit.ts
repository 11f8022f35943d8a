// Tables of the audit trail; the others: schema.ts, whose head tells what to do after a change.
import { bigint, index, integer, jsonb, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import { bytea } from "./column-types.ts";

/** What was done, one row each, inserted by the transaction that did it. Never changed but to name its block. */
export const auditRecords = pgTable(
  "audit_records",
  {
    id: bigint("id", { mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    /** "" = the installation. No reference: the trail outlives what it tells of. */
    project: text("project").notNull(),
    /** Milliseconds: the chain covers all of it. */
    time: timestamp("time", { withTimezone: true, mode: "date", precision: 3 }).notNull(),
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    resource: text("resource").notNull(),
    requestId: text("request_id").notNull(),
    clientAddress: text("client_address").notNull(),
    details: jsonb("details").$type<Readonly<Record<string, string>>>().notNull(),
    /** Number of the block that seals it; null = not sealed yet. */
    block: bigint("block", { mode: "bigint" }),
  },
  (table) => [
    index("audit_records_project").on(table.project, table.id),
    index("audit_records_block").on(table.block, table.id),
  ],
);

/** The chain over the records: each block's hash covers the one before and its records in id order. */
export const auditBlocks = pgTable("audit_blocks", {
  /** From 1, without gaps. */
  number: bigint("number", { mode: "bigint" }).primaryKey(),
  hash: bytea("hash").notNull(),
  records: integer("records").notNull(),
  sealTime: timestamp("seal_time", { withTimezone: true, mode: "date" }).notNull(),
});
