import type { Project as ProjectMessage } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { invalidFields } from "../../model/errors.ts";
import { ACCESS_TOKEN_LIFETIME_DEFAULT_MS, ACCESS_TOKEN_LIFETIME_MAX_MS } from "../../model/token-lifetime.ts";
import type { ProjectRow } from "../../store/projects.ts";
import { msFromDuration } from "../../wire/time.ts";

type Lifetimes = Pick<ProjectRow, "accessTokenLifetimeMs" | "accessTokenLifetimeMaxMs">;

/** How long a project's tokens live, as a message says it. @throws ConduitError `field_invalid` */
export function lifetimesOf(message: ProjectMessage | undefined): Lifetimes {
  const maxMs = msFromDuration(message?.accessTokenLifetimeMax) ?? ACCESS_TOKEN_LIFETIME_MAX_MS;
  const wantedMs = msFromDuration(message?.accessTokenLifetime);
  if (wantedMs !== undefined && wantedMs > maxMs) {
    const description = "must not be longer than access_token_lifetime_max";
    throw invalidFields([{ field: "project.access_token_lifetime", description }]);
  }
  return {
    accessTokenLifetimeMs: wantedMs ?? Math.min(ACCESS_TOKEN_LIFETIME_DEFAULT_MS, maxMs),
    accessTokenLifetimeMaxMs: maxMs,
  };
}
