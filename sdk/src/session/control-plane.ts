import type { Grant, ParsedGrant } from "../grant.ts";
import { defaultPlatform, type Platform } from "../platform.ts";
import { retryAfterMs } from "../retry-after.ts";
import { passingFailure, type RefreshSource, secureUrl } from "./refresh-source.ts";

/** Options of {@link fromControlPlane}. */
export interface ControlPlaneOptions {
  /** The project's issuer URL, `<control plane>/p/<project>`; https, except on loopback. */
  readonly issuer: string;
  /** The link's id: an app without a secret is known by it. */
  readonly clientId: string;
  /**
   * Keep the session in an HttpOnly cookie that no script can read: the refresh token of the login is handed over once, and in the store are
   * access tokens only. The page's origin must be among the project's `session_cookies.origins`, and the link must not itself take the user's
   * token from a cookie, or no access token is answered. Default false.
   */
  readonly cookies?: boolean;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/**
 * Tokens of a session that the control plane keeps, by OAuth (RFC 6749 6, RFC 7009) without a back end in between: the refresh token that came
 * with the login buys the next pair. `invalid_grant`, and no refresh token at all, end the session; everything else may pass. With
 * `createSession` the refresh token is kept in its store, else in memory only. Throws `TypeError` for an insecure `issuer`.
 */
export function fromControlPlane({ issuer, clientId, cookies = false, platform }: ControlPlaneOptions): RefreshSource {
  const { fetch, now } = { ...defaultPlatform, ...platform };
  const base = secureUrl(issuer, "issuer").replace(/\/+$/, "");
  const post = (endpoint: string, fields: Readonly<Record<string, string>>, signal?: AbortSignal) =>
    fetch(`${base}/oauth/${endpoint}`, {
      method: "POST",
      // Never followed: a refresh token goes to its own issuer only.
      redirect: "manual",
      credentials: cookies ? "include" : "omit",
      // What a form of another site cannot send: the server asks for it where cookies go across sites (cross-site request forgery).
      headers: { "Content-Type": "application/x-www-form-urlencoded", ...(cookies && { "X-Conduit-CSRF": "1" }) },
      // By hand: React Native's URLSearchParams does not print itself.
      body: Object.entries({ ...fields, client_id: clientId, ...(cookies && { token_delivery: "cookie" }) })
        .map((pair) => pair.map(encodeURIComponent).join("="))
        .join("&"),
      ...(signal && { signal }),
    });
  const refresh = async (refreshToken: string | undefined, attemptId?: string, signal?: AbortSignal) => {
    const fields = {
      grant_type: "refresh_token",
      ...(refreshToken && { refresh_token: refreshToken }),
      ...(attemptId && { attempt_id: attemptId }),
    };
    const response = await post("token", fields, signal);
    // An empty one takes the place of the one that was handed over: that must not be sent again.
    if (response.ok) return { ...(await response.json()), ...(cookies && { refresh_token: "" }) } as Grant;
    const answer: { error?: unknown } | undefined = await response.json().catch(() => undefined);
    if (response.status === 400 && answer?.error === "invalid_grant") return null;
    throw passingFailure("token endpoint", response, retryAfterMs(response, now()));
  };
  return {
    getToken: async ({ refreshToken, attemptId, signal }) =>
      refreshToken || cookies ? refresh(refreshToken, attemptId, signal) : null,
    async revoke(refreshToken) {
      if (!refreshToken && !cookies) return;
      const response = await post("revoke", refreshToken ? { token: refreshToken } : {});
      if (!response.ok) throw passingFailure("revocation endpoint", response, Number.NaN);
    },
    ...(cookies && { begin: ({ refreshToken }: ParsedGrant) => refresh(refreshToken) }),
  };
}
