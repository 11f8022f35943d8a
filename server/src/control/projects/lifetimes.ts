import type { Project as ProjectMessage } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { invalidFields } from "../../model/errors.ts";
import { SESSION_ABSOLUTE_DEFAULT_MS, SESSION_IDLE_DEFAULT_MS } from "../../model/session.ts";
import { ACCESS_TOKEN_LIFETIME_DEFAULT_MS, ACCESS_TOKEN_LIFETIME_MAX_MS } from "../../model/token-lifetime.ts";
import type { ProjectRow } from "../../store/projects.ts";
import { msFromDuration } from "../../wire/time.ts";

type OfTokens = Pick<ProjectRow, "accessTokenLifetimeMs" | "accessTokenLifetimeMaxMs">;
type OfSessions = Pick<ProjectRow, "sessionIdleLifetimeMs" | "sessionAbsoluteLifetimeMs">;

/** How long a project's tokens and sessions live, as a message says it. @throws ConduitError `field_invalid` */
export const lifetimesOf = (message: ProjectMessage | undefined): OfTokens & OfSessions => ({
  ...tokenLifetimesOf(message),
  ...sessionLifetimesOf(message),
});

function tokenLifetimesOf(message: ProjectMessage | undefined): OfTokens {
  const maxMs = msFromDuration(message?.accessTokenLifetimeMax) ?? ACCESS_TOKEN_LIFETIME_MAX_MS;
  const accessTokenLifetimeMs = bounded("access_token_lifetime", {
    wantedMs: msFromDuration(message?.accessTokenLifetime),
    defaultMs: ACCESS_TOKEN_LIFETIME_DEFAULT_MS,
    max: { ms: maxMs, field: "access_token_lifetime_max" },
  });
  return { accessTokenLifetimeMs, accessTokenLifetimeMaxMs: maxMs };
}

function sessionLifetimesOf(message: ProjectMessage | undefined): OfSessions {
  const maxMs = msFromDuration(message?.sessionAbsoluteLifetime) ?? SESSION_ABSOLUTE_DEFAULT_MS;
  const sessionIdleLifetimeMs = bounded("session_idle_lifetime", {
    wantedMs: msFromDuration(message?.sessionIdleLifetime),
    defaultMs: SESSION_IDLE_DEFAULT_MS,
    max: { ms: maxMs, field: "session_absolute_lifetime" },
  });
  return { sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs: maxMs };
}

interface Bounds {
  readonly wantedMs: number | undefined;
  readonly defaultMs: number;
  readonly max: { readonly ms: number; readonly field: string };
}

/** What is wanted, else the default as far as the other field allows it. */
function bounded(field: string, { wantedMs, defaultMs, max }: Bounds): number {
  if (wantedMs === undefined) return Math.min(defaultMs, max.ms);
  if (wantedMs <= max.ms) return wantedMs;
  throw invalidFields([{ field: `project.${field}`, description: `must not be longer than ${max.field}` }]);
}
