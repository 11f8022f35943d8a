ALTER TABLE "signing_keys" ADD COLUMN "scheduled_activate_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "published_sequence" bigint;