import { defaultPlatform, type Platform } from "../platform.ts";
import { retryAfterMs } from "../retry-after.ts";
import { passingFailure, type RefreshSource, secureUrl } from "./refresh-source.ts";

/** Options of {@link fromControlPlane}. */
export interface ControlPlaneOptions {
  /** The project's issuer URL, `<control plane>/p/<project>`; https, except on loopback. */
  readonly issuer: string;
  /** The link's id: an app without a secret is known by it. */
  readonly clientId: string;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/**
 * Tokens of a session that the control plane keeps, by OAuth (RFC 6749 6, RFC 7009) without a back end in between: the refresh token that came
 * with the login buys the next pair. `invalid_grant`, and no refresh token at all, end the session; everything else may pass. With
 * `createSession` the refresh token is kept in its store, else in memory only. Throws `TypeError` for an insecure `issuer`.
 */
export function fromControlPlane({ issuer, clientId, platform }: ControlPlaneOptions): RefreshSource {
  const { fetch, now } = { ...defaultPlatform, ...platform };
  const base = secureUrl(issuer, "issuer").replace(/\/+$/, "");
  const post = (endpoint: string, fields: Readonly<Record<string, string>>, signal: AbortSignal | null) =>
    fetch(`${base}/oauth/${endpoint}`, {
      method: "POST",
      // Never followed: a refresh token goes to its own issuer only. No cookies either, for none are asked for.
      redirect: "manual",
      credentials: "omit",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      // By hand: React Native's URLSearchParams does not print itself.
      body: Object.entries({ ...fields, client_id: clientId })
        .map((pair) => pair.map(encodeURIComponent).join("="))
        .join("&"),
      ...(signal && { signal }),
    });
  return {
    async getToken({ refreshToken, attemptId, signal }) {
      if (!refreshToken) return null;
      const fields = { grant_type: "refresh_token", refresh_token: refreshToken, attempt_id: attemptId };
      const response = await post("token", fields, signal);
      if (response.ok) return response.json();
      const answer: { error?: unknown } | undefined = await response.json().catch(() => undefined);
      if (response.status === 400 && answer?.error === "invalid_grant") return null;
      throw passingFailure("token endpoint", response, retryAfterMs(response, now()));
    },
    async revoke(refreshToken) {
      if (!refreshToken) return;
      const response = await post("revoke", { token: refreshToken, token_type_hint: "refresh_token" }, null);
      if (!response.ok) throw passingFailure("revocation endpoint", response, Number.NaN);
    },
  };
}
