// Tables of what was before; the others: schema.ts, whose head tells what to do after a change.
import { index, integer, jsonb, pgTable, primaryKey, text, timestamp } from "drizzle-orm/pg-core";
import type { Link } from "../model/link.ts";
import { projects } from "./schema.ts";

/** Every version a link has had, the current one included. Rows are never changed, and stay when the link is deleted. */
export const linkRevisions = pgTable(
  "link_revisions",
  {
    project: text("project")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    /** No reference: the history outlives the link, whose id is never used again. */
    link: text("link").notNull(),
    /** `version` of the link's row. */
    version: integer("version").notNull(),
    spec: jsonb("spec").$type<Omit<Link, "name">>().notNull(),
    /** Proto paths of what differs from the version before; empty for the first. */
    changedFields: jsonb("changed_fields").$type<readonly string[]>().notNull(),
    /** As in the audit event; "" = written before histories were kept. */
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    /** What the caller gave; "" = nothing. */
    reason: text("reason").notNull(),
    createTime: timestamp("create_time", { withTimezone: true, mode: "date" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.link, table.version] }),
    index("link_revisions_project").on(table.project, table.link),
  ],
);
