ALTER TABLE "proxies" ADD COLUMN "credential_create_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "previous_credential_hash" text;--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "previous_credential_expire_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "rotate_request_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "proxies" ADD CONSTRAINT "proxies_previous_credential_hash_unique" UNIQUE("previous_credential_hash");