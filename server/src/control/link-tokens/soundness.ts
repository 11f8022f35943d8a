import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import type { LinkToken } from "../../model/link-token.ts";
import { checkLinkToken } from "../../policy/link-token-check.ts";

/** Throws `field_invalid` naming every field of the token that is wrong, the violations found before among them. */
export function requireSoundToken(token: LinkToken, before: readonly FieldViolation[]): void {
  const violations = [...checkLinkToken(token), ...before];
  if (violations.length > 0) throw invalidFields(violations);
}
