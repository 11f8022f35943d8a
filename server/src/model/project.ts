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
}

/** Id of the issuer that every project has from its creation. */
export const BUILT_IN_ISSUER_ID = "built-in";
