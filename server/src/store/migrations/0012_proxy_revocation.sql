ALTER TABLE "installation" ADD COLUMN "fleet_key_version" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "installation" ADD COLUMN "sealed_installation_key" "bytea";--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "revoke_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "version" integer DEFAULT 1 NOT NULL;