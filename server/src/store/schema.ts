// The tables, for PGlite and PostgreSQL alike. After a change: `npm run migration`, and commit what it writes.
// Columns named `sealed_*` and `wrapped_*` hold ciphertext (sealing/), columns named `*_hash` hold SHA-256 of random tokens.
import { sql } from "drizzle-orm";
import {
  type AnyPgColumn,
  bigint,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uuid,
} from "drizzle-orm/pg-core";
import type { Role } from "../model/api-key.ts";
import type { ConfigResourceKind } from "../model/config-resource.ts";
import type { DebugKey } from "../model/debug-key.ts";
import type { Issuer, IssuerKeyStatus } from "../model/issuer.ts";
import type { Link } from "../model/link.ts";
import { SESSION_COOKIES_DEFAULT, type SessionCookies } from "../model/project.ts";
import type { RejectedResource } from "../model/proxy.ts";
import { bytea, digest256 } from "./column-types.ts";

/** A debug key in its link's row. */
export interface StoredDebugKey extends DebugKey {
  readonly id: string;
}

const time = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });
/** Grows by one with every write of the row: the resource's etag. */
const rowVersion = () => integer("version").notNull().default(1);
const createTime = () => time("create_time").notNull();
const updateTime = () => time("update_time").notNull();
/** Rows of a project go with it. */
const projectId = () =>
  text("project")
    .notNull()
    .references((): AnyPgColumn => projects.id, { onDelete: "cascade" });

/** One row: this installation. */
export const installation = pgTable("installation", {
  /** Always 1. */
  row: smallint("row").primaryKey(),
  id: uuid("id").notNull(),
  createdVersion: text("created_version").notNull(),
  /** Key of the secrets in the config stream, sealed under the installation's data key. */
  sealedFleetKey: bytea("sealed_fleet_key"),
  /** `version` in the place the key is sealed for; grows with every new key. */
  fleetKeyVersion: integer("fleet_key_version").notNull().default(1),
  /** Key of the control plane's own, which no proxy gets. */
  sealedInstallationKey: bytea("sealed_installation_key"),
  createTime: createTime(),
});

/** Keys that seal the secrets of one project, wrapped by a master key. */
export const dataKeys = pgTable(
  "data_keys",
  {
    id: uuid("id").primaryKey(),
    /** Null = the installation's. */
    project: text("project").references((): AnyPgColumn => projects.id, { onDelete: "cascade" }),
    masterKeyId: text("master_key_id").notNull(),
    wrappedKey: bytea("wrapped_key").notNull(),
    createTime: createTime(),
  },
  (table) => [index("data_keys_project").on(table.project, table.createTime)],
);

export const projects = pgTable("projects", {
  id: text("id").primaryKey(),
  displayName: text("display_name").notNull(),
  /** `iss` of the tokens it mints, fixed. */
  issuer: text("issuer").notNull(),
  /** Of access tokens that are minted without a wish; the defaults are contract.md 8's. */
  accessTokenLifetimeMs: integer("access_token_lifetime_ms").notNull().default(900_000),
  accessTokenLifetimeMaxMs: integer("access_token_lifetime_max_ms").notNull().default(86_400_000),
  /** Of sessions that are opened without a wish, and at most. */
  sessionIdleLifetimeMs: bigint("session_idle_lifetime_ms", { mode: "number" }).notNull().default(604_800_000),
  sessionAbsoluteLifetimeMs: bigint("session_absolute_lifetime_ms", { mode: "number" })
    .notNull()
    .default(2_592_000_000),
  /** How browsers keep its sessions in cookies. */
  sessionCookies: jsonb("session_cookies").$type<SessionCookies>().notNull().default(SESSION_COOKIES_DEFAULT),
  version: rowVersion(),
  createTime: createTime(),
  updateTime: updateTime(),
});

/** Link ids that are or were taken: an id in a public URL must never lead to someone else's link. Never deleted from. */
export const usedLinkIds = pgTable("used_link_ids", {
  id: text("id").primaryKey(),
  project: text("project").notNull(),
  createTime: createTime(),
});

export const links = pgTable(
  "links",
  {
    id: text("id").primaryKey(),
    /** No cascade: a project with links is not deleted. */
    project: text("project")
      .notNull()
      .references(() => projects.id),
    spec: jsonb("spec").$type<Omit<Link, "name">>().notNull(),
    /** By expiry. Beside the spec: a debug key that comes or lapses is no change of the link's version. */
    debugKeys: jsonb("debug_keys").$type<readonly StoredDebugKey[]>().notNull().default([]),
    version: rowVersion(),
    createTime: createTime(),
    updateTime: updateTime(),
  },
  (table) => [index("links_project").on(table.project, table.id)],
);

export const linkTokens = pgTable(
  "link_tokens",
  {
    link: text("link")
      .notNull()
      .references(() => links.id, { onDelete: "cascade" }),
    id: text("id").notNull(),
    tokenHash: text("token_hash").notNull().unique(),
    displayName: text("display_name").notNull(),
    allowedOrigins: jsonb("allowed_origins").$type<readonly string[]>().notNull(),
    allowedAddresses: jsonb("allowed_addresses").$type<readonly string[]>().notNull(),
    /** Null = never. */
    expireTime: time("expire_time"),
    version: rowVersion(),
    createTime: createTime(),
    updateTime: updateTime(),
  },
  (table) => [primaryKey({ columns: [table.link, table.id] })],
);

export const secrets = pgTable(
  "secrets",
  {
    project: projectId(),
    id: text("id").notNull(),
    displayName: text("display_name").notNull(),
    sealedValue: bytea("sealed_value").notNull(),
    /** `version` in the place the value is sealed for; grows with every new value. */
    valueVersion: integer("value_version").notNull(),
    /** Null = no next value. */
    sealedNextValue: bytea("sealed_next_value"),
    nextValueVersion: integer("next_value_version").notNull().default(0),
    /** First 8 hexadecimal digits of the value's SHA-256. */
    fingerprint: text("fingerprint").notNull(),
    version: rowVersion(),
    createTime: createTime(),
    updateTime: updateTime(),
  },
  (table) => [primaryKey({ columns: [table.project, table.id] })],
);

export const issuers = pgTable(
  "issuers",
  {
    project: projectId(),
    id: text("id").notNull(),
    spec: jsonb("spec").$type<Omit<Issuer, "name">>().notNull(),
    version: rowVersion(),
    createTime: createTime(),
    updateTime: updateTime(),
  },
  (table) => [primaryKey({ columns: [table.project, table.id] })],
);

export const apiKeys = pgTable(
  "api_keys",
  {
    keyHash: text("key_hash").primaryKey(),
    /** Null = the installation's (operator). */
    project: text("project").references((): AnyPgColumn => projects.id, { onDelete: "cascade" }),
    id: text("id").notNull(),
    role: text("role").$type<Role>().notNull(),
    displayName: text("display_name").notNull(),
    /** First characters, to recognise it. */
    hint: text("hint").notNull(),
    /** Null = never. */
    expireTime: time("expire_time"),
    /** Of the access tokens it mints; null = the project's. */
    tokenLifetimeMaxMs: integer("token_lifetime_max_ms"),
    /** Empty = from anywhere. */
    allowedAddresses: jsonb("allowed_addresses").$type<readonly string[]>().notNull().default([]),
    /** Null = the default. */
    requestsPerMinute: integer("requests_per_minute"),
    /** The text before the last rotation; null = none. */
    previousKeyHash: text("previous_key_hash").unique(),
    previousExpireTime: time("previous_expire_time"),
    /** Null = never. */
    lastUseTime: time("last_use_time"),
    version: rowVersion(),
    createTime: createTime(),
    updateTime: updateTime(),
  },
  (table) => [unique("api_keys_name").on(table.project, table.id).nullsNotDistinct()],
);

export const proxies = pgTable("proxies", {
  id: text("id").primaryKey(),
  credentialHash: text("credential_hash").notNull().unique(),
  /** Null = when it joined. */
  credentialCreateTime: time("credential_create_time"),
  /** The credential before the last rotation, until the new one was used; null = none. */
  previousCredentialHash: text("previous_credential_hash").unique(),
  previousCredentialExpireTime: time("previous_credential_expire_time"),
  /** An operator wants another credential since then; null = nobody does. */
  rotateRequestTime: time("rotate_request_time"),
  displayName: text("display_name").notNull(),
  /** Software it last reported; "" = none yet. */
  softwareVersion: text("software_version").notNull().default(""),
  appliedEpoch: text("applied_epoch").notNull().default(""),
  appliedSequence: bigint("applied_sequence", { mode: "bigint" }).notNull().default(sql`0`),
  rejected: jsonb("rejected").$type<readonly RejectedResource[]>().notNull().default([]),
  /** Fetched keys of issuers as it last saw them. */
  issuerKeys: jsonb("issuer_keys").$type<readonly IssuerKeyStatus[]>().notNull().default([]),
  /** Null = it never reported. */
  lastSeenTime: time("last_seen_time"),
  /** Null = it is not. */
  revokeTime: time("revoke_time"),
  /** Grows with what is changed through the API, not with what the proxy reports. */
  version: rowVersion(),
  createTime: createTime(),
});

export const joinTokens = pgTable("join_tokens", {
  tokenHash: text("token_hash").primaryKey(),
  displayName: text("display_name").notNull(),
  expireTime: time("expire_time").notNull(),
  /** Null = not used. */
  useTime: time("use_time"),
  /** The proxy that joined with it. */
  proxy: text("proxy"),
  createTime: createTime(),
});

/** Answers of earlier creates by `request_id`; holds names only, never a value shown once. */
export const idempotency = pgTable(
  "idempotency",
  {
    /** Resource name of the API key. */
    principal: text("principal").notNull(),
    method: text("method").notNull(),
    requestId: text("request_id").notNull(),
    /** Hex. Of the request without secrets' values. */
    requestSha256: text("request_sha256").notNull(),
    resourceName: text("resource_name").notNull(),
    expireTime: time("expire_time").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.principal, table.method, table.requestId] }),
    index("idempotency_expire_time").on(table.expireTime),
  ],
);

/** Requests by minute, link, subject and outcome. */
export const usageRollups = pgTable(
  "usage_rollups",
  {
    /** "" = no such link. No reference: counts outlive what they count. */
    project: text("project").notNull(),
    minute: time("minute").notNull(),
    /** Link id; "" = no such link. */
    link: text("link").notNull(),
    /** "" = none. */
    subject: text("subject").notNull(),
    outcome: text("outcome").notNull(),
    statusClass: smallint("status_class").notNull(),
    requests: bigint("requests", { mode: "bigint" }).notNull(),
  },
  (table) => [
    primaryKey({
      columns: [table.project, table.minute, table.link, table.subject, table.outcome, table.statusClass],
    }),
  ],
);

/** Batches already counted, so that a retry is not counted again. */
export const usageBatches = pgTable(
  "usage_batches",
  {
    id: uuid("id").primaryKey(),
    receiveTime: time("receive_time").notNull(),
  },
  (table) => [index("usage_batches_receive_time").on(table.receiveTime)],
);

/** One row per fleet: the end of the log. Its lock, taken by the last statement of a transaction, makes the log's order. */
export const configHead = pgTable("config_head", {
  fleet: text("fleet").primaryKey(),
  epoch: uuid("epoch").notNull(),
  sequence: bigint("sequence", { mode: "bigint" }).notNull().default(sql`0`),
  /** The log holds what came after it. */
  compactedSequence: bigint("compacted_sequence", { mode: "bigint" }).notNull().default(sql`0`),
  /** XOR of the digests of everything in config_current. */
  digest: digest256("digest").notNull(),
  /** Of the database cluster the epoch began in; "" = it does not tell. */
  systemIdentifier: text("system_identifier").notNull(),
  timeline: integer("timeline").notNull(),
  updateTime: updateTime(),
});

/** One row per transaction that changed the configuration. */
export const configTx = pgTable(
  "config_tx",
  {
    fleet: text("fleet").notNull(),
    sequence: bigint("sequence", { mode: "bigint" }).notNull(),
    /** Digest of the state after it. */
    digest: digest256("digest").notNull(),
    commitTime: time("commit_time").notNull(),
  },
  (table) => [primaryKey({ columns: [table.fleet, table.sequence] })],
);

export const configLog = pgTable(
  "config_log",
  {
    fleet: text("fleet").notNull(),
    sequence: bigint("sequence", { mode: "bigint" }).notNull(),
    /** Order inside the transaction, from 0. */
    ordinal: integer("ordinal").notNull(),
    kind: text("kind").$type<ConfigResourceKind>().notNull(),
    name: text("name").notNull(),
    version: bigint("version", { mode: "bigint" }).notNull(),
    /** Null = deleted. */
    payload: bytea("payload"),
  },
  (table) => [primaryKey({ columns: [table.fleet, table.sequence, table.ordinal] })],
);

/** The state the log leads to: what snapshots are made of. */
export const configCurrent = pgTable(
  "config_current",
  {
    fleet: text("fleet").notNull(),
    kind: text("kind").$type<ConfigResourceKind>().notNull(),
    name: text("name").notNull(),
    version: bigint("version", { mode: "bigint" }).notNull(),
    payload: bytea("payload").notNull(),
  },
  (table) => [primaryKey({ columns: [table.fleet, table.kind, table.name] })],
);
