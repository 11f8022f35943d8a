import type { TokenFault } from "../jwt/token-fault.ts";
import { ERRORS, type ErrorCode } from "../model/errors.ts";

/** What `WWW-Authenticate` says (RFC 6750 3). */
export interface Challenge {
  /** Of which credential: the user's token, or the app's link token. */
  readonly realm: "user" | "app";
  readonly error?: "invalid_token" | "insufficient_scope";
  /** Space separated, with `insufficient_scope`. */
  readonly scope?: string;
}

export interface RefusalDetails {
  /** Public text; default: the code's. */
  readonly detail?: string;
  /** Text of the closed table of `jwt_error`; for those who may see it. */
  readonly jwtError?: string;
  /** With `jwtError`: what was wanted, and what came instead. No signature, key or secret. */
  readonly expected?: string;
  readonly seen?: string;
  /** Default: none. */
  readonly challenge?: Challenge;
}

/** A stage's verdict against a request. */
export class Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly jwtError: string | undefined;
  readonly expected: string | undefined;
  readonly seen: string | undefined;
  readonly challenge: Challenge | undefined;

  constructor(code: ErrorCode, details: RefusalDetails = {}) {
    this.code = code;
    this.detail = details.detail ?? ERRORS[code].detail;
    this.jwtError = details.jwtError;
    this.expected = details.expected;
    this.seen = details.seen;
    this.challenge = details.challenge;
  }
}

/** The refusal of a user token that was looked at and not accepted. */
export function refuseToken(fault: TokenFault): Refusal {
  const details = { ...fault.texts, jwtError: fault.jwtError };
  if (ERRORS[fault.code].http !== 401) return new Refusal(fault.code, details);
  return new Refusal(fault.code, { ...details, challenge: { realm: "user", error: "invalid_token" } });
}

/** Value of `WWW-Authenticate` for a refusal on this link; undefined = none. Link ids and scopes hold no quotes. */
export function challengeText({ challenge }: Refusal, linkId: string): string | undefined {
  if (challenge === undefined) return undefined;
  const realm = challenge.realm === "app" ? `${linkId}/app` : linkId;
  const error = challenge.error === undefined ? "" : `, error="${challenge.error}"`;
  const scope = challenge.scope === undefined ? "" : `, scope="${challenge.scope}"`;
  return `Bearer realm="${realm}"${error}${scope}`;
}
