DROP INDEX "signing_keys_one_active";--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "session_idle_lifetime_ms" bigint DEFAULT 604800000 NOT NULL;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "session_absolute_lifetime_ms" bigint DEFAULT 2592000000 NOT NULL;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "purpose" text DEFAULT 'TOKEN' NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "signing_keys_one_active" ON "signing_keys" USING btree ("project","purpose") WHERE state = 'ACTIVE';