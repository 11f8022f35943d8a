import { invalidFields } from "../model/errors.ts";
import type { ProjectRow } from "../store/projects.ts";

/** What bounds the life of the tokens that one caller asks for. */
export interface LifetimeRules {
  readonly project: Pick<ProjectRow, "accessTokenLifetimeMs" | "accessTokenLifetimeMaxMs">;
  /** Of the API key that asks; undefined = the project's alone. */
  readonly apiKeyMaxMs: number | undefined;
}

/**
 * How long a token is to live: what is asked for, or the project's default as far as the caps allow it.
 * @param field path of the request's field
 * @throws ConduitError `field_invalid` when more is asked for than the project or the API key may have
 */
export function lifetimeMsOf(wantedMs: number | undefined, rules: LifetimeRules, field: string): number {
  const { project, apiKeyMaxMs = Number.POSITIVE_INFINITY } = rules;
  const maxMs = Math.min(project.accessTokenLifetimeMaxMs, apiKeyMaxMs);
  if (wantedMs === undefined) return Math.min(project.accessTokenLifetimeMs, maxMs);
  if (wantedMs <= maxMs) return wantedMs;
  const whose = maxMs === apiKeyMaxMs ? "this API key" : "this project";
  throw invalidFields([{ field, description: `may be at most ${Math.floor(maxMs / 1000)} s for ${whose}` }]);
}
