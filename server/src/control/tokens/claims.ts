import type { JsonObject } from "@bufbuild/protobuf";
import { RESERVED_CLAIMS } from "../../jwt/mint.ts";
import { parseStrictObject } from "../../jwt/strict-json.ts";
import { type FieldViolation, invalidFields } from "../../model/errors.ts";

/**
 * Further claims of a token. Throws `field_invalid` naming each claim that the token's own would replace, and for claims
 * that the proxies would refuse to read.
 * @param path of the request that holds them among several, as `requests[3].`; "" = there is one
 */
export function requireClaims(claims: JsonObject | undefined, path: string): JsonObject {
  if (claims === undefined) return {};
  const violations: FieldViolation[] = RESERVED_CLAIMS.filter((name) => Object.hasOwn(claims, name)).map((name) => ({
    field: `${path}claims.${name}`,
    description: "is the token's own: leave it out, or use the field of the request that sets it",
  }));
  const field = `${path}claims`;
  if (parseStrictObject(Buffer.from(JSON.stringify(claims))) === undefined)
    violations.push({
      field,
      description: "must be at most 15 levels deep, without names such as __proto__ and constructor",
    });
  if (!hasJsonNumbers(claims)) violations.push({ field, description: "must hold no number that JSON cannot write" });
  if (violations.length > 0) throw invalidFields(violations);
  return claims;
}

/** `google.protobuf.Value` can hold NaN and the infinities, which JSON would turn into null without a word. */
const hasJsonNumbers = (value: unknown): boolean =>
  typeof value === "object" && value !== null
    ? Object.values(value).every(hasJsonNumbers)
    : typeof value !== "number" || Number.isFinite(value);
