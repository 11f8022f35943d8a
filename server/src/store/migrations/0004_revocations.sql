CREATE TABLE "revocations" (
	"project" text NOT NULL,
	"id" text NOT NULL,
	"target" jsonb NOT NULL,
	"target_key" "bytea" NOT NULL,
	"issued_before" timestamp with time zone,
	"expire_time" timestamp with time zone NOT NULL,
	"reason" text NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	CONSTRAINT "revocations_project_id_pk" PRIMARY KEY("project","id")
);
--> statement-breakpoint
CREATE INDEX "revocations_target_key" ON "revocations" USING btree ("target_key");--> statement-breakpoint
CREATE INDEX "revocations_expire_time" ON "revocations" USING btree ("expire_time");