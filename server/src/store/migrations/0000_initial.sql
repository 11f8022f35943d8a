CREATE TABLE "api_keys" (
	"key_hash" text PRIMARY KEY NOT NULL,
	"project" text,
	"id" text NOT NULL,
	"role" text NOT NULL,
	"display_name" text NOT NULL,
	"hint" text NOT NULL,
	"expire_time" timestamp with time zone,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL,
	CONSTRAINT "api_keys_name" UNIQUE NULLS NOT DISTINCT("project","id")
);
--> statement-breakpoint
CREATE TABLE "config_current" (
	"fleet" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"version" bigint NOT NULL,
	"payload" "bytea" NOT NULL,
	CONSTRAINT "config_current_fleet_kind_name_pk" PRIMARY KEY("fleet","kind","name")
);
--> statement-breakpoint
CREATE TABLE "config_head" (
	"fleet" text PRIMARY KEY NOT NULL,
	"epoch" uuid NOT NULL,
	"sequence" bigint DEFAULT 0 NOT NULL,
	"compacted_sequence" bigint DEFAULT 0 NOT NULL,
	"digest" bit(256) NOT NULL,
	"system_identifier" text NOT NULL,
	"timeline" integer NOT NULL,
	"update_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "config_log" (
	"fleet" text NOT NULL,
	"sequence" bigint NOT NULL,
	"ordinal" integer NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"version" bigint NOT NULL,
	"payload" "bytea",
	CONSTRAINT "config_log_fleet_sequence_ordinal_pk" PRIMARY KEY("fleet","sequence","ordinal")
);
--> statement-breakpoint
CREATE TABLE "config_tx" (
	"fleet" text NOT NULL,
	"sequence" bigint NOT NULL,
	"digest" bit(256) NOT NULL,
	"commit_time" timestamp with time zone NOT NULL,
	CONSTRAINT "config_tx_fleet_sequence_pk" PRIMARY KEY("fleet","sequence")
);
--> statement-breakpoint
CREATE TABLE "data_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"project" text,
	"master_key_id" text NOT NULL,
	"wrapped_key" "bytea" NOT NULL,
	"create_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency" (
	"principal" text NOT NULL,
	"method" text NOT NULL,
	"request_id" text NOT NULL,
	"request_sha256" text NOT NULL,
	"resource_name" text NOT NULL,
	"expire_time" timestamp with time zone NOT NULL,
	CONSTRAINT "idempotency_principal_method_request_id_pk" PRIMARY KEY("principal","method","request_id")
);
--> statement-breakpoint
CREATE TABLE "installation" (
	"row" smallint PRIMARY KEY NOT NULL,
	"id" uuid NOT NULL,
	"created_version" text NOT NULL,
	"sealed_fleet_key" "bytea",
	"create_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "issuers" (
	"project" text NOT NULL,
	"id" text NOT NULL,
	"spec" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL,
	CONSTRAINT "issuers_project_id_pk" PRIMARY KEY("project","id")
);
--> statement-breakpoint
CREATE TABLE "join_tokens" (
	"token_hash" text PRIMARY KEY NOT NULL,
	"display_name" text NOT NULL,
	"expire_time" timestamp with time zone NOT NULL,
	"use_time" timestamp with time zone,
	"proxy" text,
	"create_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "link_tokens" (
	"link" text NOT NULL,
	"id" text NOT NULL,
	"token_hash" text NOT NULL,
	"display_name" text NOT NULL,
	"allowed_origins" jsonb NOT NULL,
	"allowed_addresses" jsonb NOT NULL,
	"expire_time" timestamp with time zone,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL,
	CONSTRAINT "link_tokens_link_id_pk" PRIMARY KEY("link","id"),
	CONSTRAINT "link_tokens_token_hash_unique" UNIQUE("token_hash")
);
--> statement-breakpoint
CREATE TABLE "links" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"spec" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"id" text PRIMARY KEY NOT NULL,
	"display_name" text NOT NULL,
	"issuer" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "proxies" (
	"id" text PRIMARY KEY NOT NULL,
	"credential_hash" text NOT NULL,
	"display_name" text NOT NULL,
	"software_version" text DEFAULT '' NOT NULL,
	"applied_epoch" text DEFAULT '' NOT NULL,
	"applied_sequence" bigint DEFAULT 0 NOT NULL,
	"rejected" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"last_seen_time" timestamp with time zone,
	"create_time" timestamp with time zone NOT NULL,
	CONSTRAINT "proxies_credential_hash_unique" UNIQUE("credential_hash")
);
--> statement-breakpoint
CREATE TABLE "secrets" (
	"project" text NOT NULL,
	"id" text NOT NULL,
	"display_name" text NOT NULL,
	"sealed_value" "bytea" NOT NULL,
	"value_version" integer NOT NULL,
	"sealed_next_value" "bytea",
	"next_value_version" integer DEFAULT 0 NOT NULL,
	"fingerprint" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"update_time" timestamp with time zone NOT NULL,
	CONSTRAINT "secrets_project_id_pk" PRIMARY KEY("project","id")
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"kid" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"algorithm" text NOT NULL,
	"public_jwk" jsonb NOT NULL,
	"sealed_private_jwk" "bytea" NOT NULL,
	"state" text NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	"activate_time" timestamp with time zone,
	"retire_time" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "usage_batches" (
	"id" uuid PRIMARY KEY NOT NULL,
	"receive_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_rollups" (
	"project" text NOT NULL,
	"minute" timestamp with time zone NOT NULL,
	"link" text NOT NULL,
	"subject" text NOT NULL,
	"outcome" text NOT NULL,
	"status_class" smallint NOT NULL,
	"requests" bigint NOT NULL,
	CONSTRAINT "usage_rollups_project_minute_link_subject_outcome_status_class_pk" PRIMARY KEY("project","minute","link","subject","outcome","status_class")
);
--> statement-breakpoint
CREATE TABLE "used_link_ids" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"create_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "data_keys" ADD CONSTRAINT "data_keys_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "issuers" ADD CONSTRAINT "issuers_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "link_tokens" ADD CONSTRAINT "link_tokens_link_links_id_fk" FOREIGN KEY ("link") REFERENCES "public"."links"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "links" ADD CONSTRAINT "links_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD CONSTRAINT "signing_keys_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "data_keys_project" ON "data_keys" USING btree ("project","create_time");--> statement-breakpoint
CREATE INDEX "idempotency_expire_time" ON "idempotency" USING btree ("expire_time");--> statement-breakpoint
CREATE INDEX "links_project" ON "links" USING btree ("project","id");--> statement-breakpoint
CREATE INDEX "signing_keys_project" ON "signing_keys" USING btree ("project","create_time");--> statement-breakpoint
CREATE UNIQUE INDEX "signing_keys_one_active" ON "signing_keys" USING btree ("project") WHERE state = 'ACTIVE';--> statement-breakpoint
CREATE INDEX "usage_batches_receive_time" ON "usage_batches" USING btree ("receive_time");