/** Codes of refusals that are about the user token itself. */
export type TokenFaultCode =
  | "token_malformed"
  | "token_algorithm_refused"
  | "token_signature_invalid"
  | "token_expired"
  | "token_not_yet_valid"
  | "token_issuer_unknown"
  | "token_audience_mismatch"
  | "token_type_mismatch"
  | "token_claim_missing"
  | "token_claim_invalid"
  | "issuer_unreachable";

/** The closed table of `jwt_error` (contract.md 7); a name or algorithm is appended where the text ends in a colon. */
export const JWT_ERRORS = {
  missing: "Missing token",
  malformed: "Malformed token",
  expired: "Token expired",
  notYetValid: "Token not yet valid",
  signature: "Invalid signature",
  unknownKey: "Unknown key",
  algorithm: "Algorithm not allowed:",
  issuer: "Invalid issuer",
  audience: "Invalid audience",
  type: "Wrong token type",
  claimMissing: "Missing required claim:",
  claimInvalid: "Invalid claim:",
  revoked: "Token revoked",
  encrypted: "Encrypted tokens (JWE) are not supported",
  unreachable: "Identity provider unreachable",
} as const;

export interface TokenFaultTexts {
  /** Public text instead of the code's usual one. */
  readonly detail?: string;
  /** For debug: what was wanted. */
  readonly expected?: string;
  /** For debug: what the token has instead. Never a signature or key. */
  readonly seen?: string;
}

/** Why a token was not accepted. */
export class TokenFault {
  readonly code: TokenFaultCode;
  /** Text of the closed table. */
  readonly jwtError: string;
  readonly texts: TokenFaultTexts;

  constructor(code: TokenFaultCode, jwtError: string, texts: TokenFaultTexts = {}) {
    this.code = code;
    this.jwtError = jwtError;
    this.texts = texts;
  }
}

/** `token_malformed`; `detail` says what is wrong with the form. */
export const malformed = (detail: string): TokenFault =>
  new TokenFault("token_malformed", JWT_ERRORS.malformed, { detail });

/** `token_claim_missing`: the token has no claim of this name. */
export function claimMissing(name: string): TokenFault {
  const text = `${JWT_ERRORS.claimMissing} ${name}`;
  return new TokenFault("token_claim_missing", text, { detail: text });
}

/** `token_claim_invalid`. @param why what the claim must be, when its type is wrong */
export function claimInvalid(name: string, why?: string): TokenFault {
  const text = `${JWT_ERRORS.claimInvalid} ${name}`;
  return new TokenFault("token_claim_invalid", text, { detail: why === undefined ? text : `${text} ${why}` });
}
