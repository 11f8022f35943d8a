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
}

/** Id of the issuer that every project has from its creation. */
export const BUILT_IN_ISSUER_ID = "built-in";
