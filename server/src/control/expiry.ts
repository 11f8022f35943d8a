import type { FieldViolation } from "../model/errors.ts";

/** An expiry that is set must lie in the future: one in the past would revoke without saying so. */
export function expiryViolations(field: string, expireTimeMs: number | undefined, nowMs: number): FieldViolation[] {
  const isPast = expireTimeMs !== undefined && expireTimeMs <= nowMs;
  return isPast ? [{ field, description: "must lie in the future" }] : [];
}
