/** A tenant. */
export interface Project {
  /** `projects/{project}`. */
  readonly name: string;
  readonly displayName: string;
  /** `iss` of the tokens it mints: `<public-url>/p/<project>`, fixed when the project is created. */
  readonly issuer: string;
  /** Life of an access token that is minted without a wish. */
  readonly accessTokenLifetimeMs: number;
  readonly accessTokenLifetimeMaxMs: number;
  /** Of sessions that are opened without a wish, and at most: after the last refresh, and after the opening. */
  readonly sessionIdleLifetimeMs: number;
  readonly sessionAbsoluteLifetimeMs: number;
  readonly sessionCookies: SessionCookies;
}

export type CookieSameSite = "STRICT" | "LAX" | "NONE";

/** How browsers keep the project's sessions in cookies. */
export interface SessionCookies {
  readonly sameSite: CookieSameSite;
  /** Whose pages may use them, besides the issuer's own origin. */
  readonly origins: readonly string[];
  /** Of the access token's cookie; "" = the host that sets it alone. */
  readonly domain: string;
}

export const SESSION_COOKIES_DEFAULT: SessionCookies = { sameSite: "STRICT", origins: [], domain: "" };

/** Id of the issuer that every project has from its creation. */
export const BUILT_IN_ISSUER_ID = "built-in";
