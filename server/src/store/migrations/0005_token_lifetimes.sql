ALTER TABLE "api_keys" ADD COLUMN "token_lifetime_max_ms" integer;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "access_token_lifetime_ms" integer DEFAULT 900000 NOT NULL;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "access_token_lifetime_max_ms" integer DEFAULT 86400000 NOT NULL;