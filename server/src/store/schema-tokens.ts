// Tables of the users' tokens; the others: schema.ts, whose head tells what to do after a change.
import { sql } from "drizzle-orm";
import {
  bigint,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import type { RevocationTarget } from "../model/revocation.ts";
import type { BuiltInAlgorithm, PublicJwk, SigningKeyPurpose, SigningKeyState } from "../model/signing-key.ts";
import { bytea } from "./column-types.ts";
import { projects } from "./schema.ts";

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

/** Families of refresh tokens: one row each, whatever number of tokens it has had. */
export const sessions = pgTable(
  "sessions",
  {
    /** The `sid` of its access tokens. */
    id: uuid("id").primaryKey(),
    project: text("project")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    subject: text("subject").notNull(),
    /** Id of the API key that opened it. */
    clientId: text("client_id").notNull(),
    links: jsonb("links").$type<readonly string[]>().notNull(),
    scope: text("scope").notNull(),
    /** JSON text of {roles, claims}. Text, since jsonb does not hold the NULs that claims may. */
    content: text("content").notNull(),
    /** Of its access tokens. Null = the default. */
    accessLifetimeMs: integer("access_lifetime_ms"),
    /** Cap of the API key that opened it. Null = none. */
    accessLifetimeMaxMs: integer("access_lifetime_max_ms"),
    deviceLabel: text("device_label").notNull(),
    /** Key of its refresh tokens' MACs, sealed. */
    sealedRefreshKey: bytea("sealed_refresh_key").notNull(),
    /** Number of the current refresh token. */
    counter: bigint("counter", { mode: "number" }).notNull().default(0),
    /** When it replaced the one before; null = it is the first. */
    rotateTime: time("rotate_time"),
    /** `attempt_id` of the call that did it; "" = none. */
    attemptId: text("attempt_id").notNull().default(""),
    /** When the current one was last answered again. */
    replayTime: time("replay_time"),
    /** Without a refresh it ends so long after the last one. */
    idleLifetimeMs: bigint("idle_lifetime_ms", { mode: "number" }).notNull(),
    absoluteExpireTime: time("absolute_expire_time").notNull(),
    /** Null = it was not revoked. */
    revokeTime: time("revoke_time"),
    revokeReason: text("revoke_reason").notNull().default(""),
    createTime: time("create_time").notNull(),
  },
  (table) => [
    index("sessions_project").on(table.project, table.id),
    index("sessions_subject").on(table.project, table.subject, table.id),
    index("sessions_absolute_expire_time").on(table.absoluteExpireTime),
  ],
);

/** Keys of the built-in issuers. */
export const signingKeys = pgTable(
  "signing_keys",
  {
    /** RFC 7638 thumbprint. */
    kid: text("kid").primaryKey(),
    project: text("project")
      .notNull()
      .references(() => projects.id, { onDelete: "cascade" }),
    /** What it signs. */
    purpose: text("purpose").$type<SigningKeyPurpose>().notNull().default("TOKEN"),
    algorithm: text("algorithm").$type<BuiltInAlgorithm>().notNull(),
    publicJwk: jsonb("public_jwk").$type<PublicJwk>().notNull(),
    sealedPrivateJwk: bytea("sealed_private_jwk").notNull(),
    state: text("state").$type<SigningKeyState>().notNull(),
    createTime: time("create_time").notNull(),
    /** When it began to sign; null = not yet. */
    activateTime: time("activate_time"),
    /** When it stopped signing: rotated or revoked; null = it has not. */
    retireTime: time("retire_time"),
    /** When it begins to sign by itself, at the earliest; null = only when told to. */
    scheduledActivateTime: time("scheduled_activate_time"),
    /** A sequence of the configuration that holds it: proxies that have applied it know the key. Null = not noted yet. */
    publishedSequence: bigint("published_sequence", { mode: "bigint" }),
  },
  (table) => [
    index("signing_keys_project").on(table.project, table.createTime),
    // Two active keys would mean two replicas rotated at once: the second must fail.
    uniqueIndex("signing_keys_one_active").on(table.project, table.purpose).where(sql`state = 'ACTIVE'`),
  ],
);
