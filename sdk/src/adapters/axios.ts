import type { Conduit } from "../client.ts";
import type { FetchWithAuth } from "../fetch-with-auth.ts";

/** Options for `axios.create`. */
export interface AxiosOptions {
  /** The link's URL, before which axios puts each path. */
  readonly baseURL: string;
  /** axios' own adapter over `fetch`: interceptors, transforms, timeouts and progress work as ever. */
  readonly adapter: "fetch";
  readonly env: {
    /** Sends both credentials, refreshes, and sends once more after a 401 that a new token can cure. */
    readonly fetch: FetchWithAuth;
  };
}

/**
 * What axios (1.12 or later; earlier ones have no `env.fetch`, and would call without tokens) needs to call a link: `const api = axios.create(axiosOptions(conduit)); await api.get("/api/users/123")`.
 * The refresh lies below axios, so no response interceptor is needed, and calls that fail together share one refresh and are all answered.
 * Refusals of this SDK arrive as the `cause` of an `AxiosError` with the same `code`: `isConduitError(error.cause, "session_lost")`.
 */
export function axiosOptions(conduit: Conduit): AxiosOptions {
  return { baseURL: conduit.url, adapter: "fetch", env: { fetch: conduit.fetchWithAuth } };
}
