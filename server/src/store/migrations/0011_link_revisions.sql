CREATE TABLE "link_revisions" (
	"project" text NOT NULL,
	"link" text NOT NULL,
	"version" integer NOT NULL,
	"spec" jsonb NOT NULL,
	"changed_fields" jsonb NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"reason" text NOT NULL,
	"create_time" timestamp with time zone NOT NULL,
	CONSTRAINT "link_revisions_link_version_pk" PRIMARY KEY("link","version")
);
--> statement-breakpoint
ALTER TABLE "link_revisions" ADD CONSTRAINT "link_revisions_project_projects_id_fk" FOREIGN KEY ("project") REFERENCES "public"."projects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "link_revisions_project" ON "link_revisions" USING btree ("project","link");--> statement-breakpoint
-- Links that are there already begin their history with what they are.
INSERT INTO "link_revisions" ("project", "link", "version", "spec", "changed_fields", "actor", "action", "reason", "create_time")
SELECT "project", "id", "version", "spec", '[]'::jsonb, '', '', '', "update_time" FROM "links";
