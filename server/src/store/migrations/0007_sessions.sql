CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"subject" text NOT NULL,
	"client_id" text NOT NULL,
	"links" jsonb NOT NULL,
	"scope" text NOT NULL,
	"content" text NOT NULL,
	"access_lifetime_ms" integer,
	"access_lifetime_max_ms" integer,
	"device_label" text NOT NULL,
	"sealed_refresh_key" "bytea" NOT NULL,
	"counter" bigint DEFAULT 0 NOT NULL,
	"rotate_time" timestamp with time zone,
	"attempt_id" text DEFAULT '' NOT NULL,
	"replay_time" timestamp with time zone,
	"idle_lifetime_ms" bigint NOT NULL,
	"absolute_expire_time" timestamp with time zone NOT NULL,
	"revoke_time" timestamp with time zone,
	"revoke_reason" text DEFAULT '' NOT NULL,
	"create_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sessions_project" ON "sessions" USING btree ("project","id");--> statement-breakpoint
CREATE INDEX "sessions_subject" ON "sessions" USING btree ("project","subject","id");--> statement-breakpoint
CREATE INDEX "sessions_absolute_expire_time" ON "sessions" USING btree ("absolute_expire_time");