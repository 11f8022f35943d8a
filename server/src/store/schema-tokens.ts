// Tables of the users' tokens; the others: schema.ts, whose head tells what to do after a change.
import { index, jsonb, pgTable, primaryKey, text, timestamp } from "drizzle-orm/pg-core";
import type { RevocationTarget } from "../model/revocation.ts";
import { bytea } from "./column-types.ts";

const time = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });

/** Withdrawn tokens. No reference to the project: the sweeper must find what the proxies still hold of one that is gone. */
export const revocations = pgTable(
  "revocations",
  {
    project: text("project").notNull(),
    id: text("id").notNull(),
    target: jsonb("target").$type<RevocationTarget>().notNull(),
    /** `keyOfTarget`: what is looked up by. */
    targetKey: bytea("target_key").notNull(),
    /** Null = whenever issued. */
    issuedBefore: time("issued_before"),
    expireTime: time("expire_time").notNull(),
    /** "" = none. */
    reason: text("reason").notNull(),
    createTime: time("create_time").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.id] }),
    index("revocations_target_key").on(table.targetKey),
    index("revocations_expire_time").on(table.expireTime),
  ],
);
