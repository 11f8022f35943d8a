import type { GetToken } from "../grant.ts";
import { defaultPlatform, type Platform } from "../platform.ts";
import { retryAfterMs } from "../retry-after.ts";
import { passingFailure, secureUrl } from "./refresh-source.ts";

/** Options of {@link fromBackend}. */
export interface BackendOptions {
  /** Whether cookies go along, as in `fetch`. Default `same-origin`; `include` for a back end of another origin. */
  readonly credentials?: NonNullable<RequestInit["credentials"]>;
  /** Further headers, for instance against cross-site request forgery. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/**
 * Tokens from a URL of the app's own back end, which knows the user by its own session (a cookie). It gets `POST` with the JSON
 * `{ reason, attempt_id, refresh_token? }` and answers 200 with a grant as JSON, or 401 when nobody is signed in; everything else may pass.
 * Redirects are not followed. Throws `TypeError` for plain http off the own machine.
 */
export function fromBackend(
  url: string,
  { credentials = "same-origin", headers, platform }: BackendOptions = {},
): GetToken {
  const { fetch, now } = { ...defaultPlatform, ...platform };
  secureUrl(url, "url");
  return async ({ reason, attemptId, refreshToken, signal }) => {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      credentials,
      signal,
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ reason, attempt_id: attemptId, refresh_token: refreshToken }),
    });
    if (response.status === 401) return null;
    if (!response.ok) throw passingFailure("back end", response, retryAfterMs(response, now()));
    return response.json();
  };
}

/** One token that nothing can replace: a script's, a test's. Refused or expired, the call gets the proxy's 401 or `refresh_failed`. */
export function fromToken(token: string): GetToken {
  return ({ reason }) => {
    if (reason === "initial") return token;
    throw new Error("A fixed token cannot be refreshed");
  };
}
