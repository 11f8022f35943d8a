CREATE TABLE "audit_blocks" (
	"number" bigint PRIMARY KEY NOT NULL,
	"hash" "bytea" NOT NULL,
	"records" integer NOT NULL,
	"seal_time" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_records" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_records_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"project" text NOT NULL,
	"time" timestamp with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"resource" text NOT NULL,
	"request_id" text NOT NULL,
	"client_address" text NOT NULL,
	"details" jsonb NOT NULL,
	"block" bigint
);
--> statement-breakpoint
CREATE INDEX "audit_records_project" ON "audit_records" USING btree ("project","id");--> statement-breakpoint
CREATE INDEX "audit_records_block" ON "audit_records" USING btree ("block","id");