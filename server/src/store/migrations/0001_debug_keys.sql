ALTER TABLE "links" ADD COLUMN "debug_keys" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "proxies" ADD COLUMN "issuer_keys" jsonb DEFAULT '[]'::jsonb NOT NULL;