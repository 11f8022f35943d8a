import type { Conduit } from "../client.ts";
import { isConduitError } from "../errors.ts";
import type { FetchWithAuth } from "../fetch-with-auth.ts";

/** Options for `ky.create` or `ky.extend`. */
export interface KyOptions {
  /** Sends both credentials, refreshes, and sends once more after a 401 that a new token can cure. */
  readonly fetch: FetchWithAuth;
  /** The link's URL, before which ky 2 puts each path. ky 1 calls it `prefixUrl`: add that one yourself. */
  readonly prefix: string;
  readonly retry: {
    /** `false` for refusals of this SDK, which come again (signed out, wrong origin) or have been retried; else ky decides. */
    readonly shouldRetry: (failure: { error: Error }) => false | undefined;
  };
}

/**
 * What ky (1.14 or later) needs to call a link: `const api = ky.create(kyOptions(conduit)); await api.get("api/users/123").json()`.
 * ky's own retries of 429, 503 and network errors stay as they are; do not add 401 to `retry.statusCodes`.
 * Refusals of this SDK arrive as they are: `isConduitError(error, "session_lost")`.
 */
export function kyOptions(conduit: Conduit): KyOptions {
  return {
    fetch: conduit.fetchWithAuth,
    prefix: `${conduit.url}/`,
    retry: { shouldRetry: ({ error }) => (isConduitError(error) ? false : undefined) },
  };
}
