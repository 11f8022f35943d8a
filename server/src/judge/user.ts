import type { Claims } from "../model/claims.ts";
import type { Issuer } from "../model/issuer.ts";

/** A person whose token was verified. */
export interface User {
  readonly claims: Claims;
  readonly issuer: Issuer;
  readonly kid: string | undefined;
  /** The token as sent, for `forward_user_token`. */
  readonly token: string;
  /** When the token stops being accepted, leeway included: milliseconds since the epoch. Ends live answers. */
  readonly validUntilMs: number;
  /** `keysOfToken`: by what it may have been withdrawn. */
  readonly revocationKeys: () => Uint8Array;
  /** The same of the token that this one was exchanged for; undefined = it was for none. */
  readonly source?: SourceRevocation;
}

/** By what the token before an exchange may have been withdrawn. */
export interface SourceRevocation {
  readonly keys: () => Uint8Array;
  /** When that one was issued: seconds since the epoch; undefined = it did not say. */
  readonly iat: number | undefined;
}
