import { RESERVED_CLAIMS } from "../../jwt/mint.ts";
import { parseStrictObject } from "../../jwt/strict-json.ts";
import type { FieldViolation } from "../../model/errors.ts";
import type { Link } from "../../model/link.ts";
import { parseTemplateText, textsOfTemplate } from "../../policy/claim-template.ts";

/** Every token for the link carries what it makes: it must leave room in a header of 8 KiB. */
const TEMPLATE_MAX_BYTES = 4 * 1024;
const PLACEHOLDERS_MAX = 32;
/** Of the token's own claims a template may only say the roles. */
const SAYABLE = "roles";

/** What is wrong with a link's template of claims. */
export function tokenClaimViolations({ tokenClaims = {} }: Link): FieldViolation[] {
  const text = JSON.stringify(tokenClaims);
  const problems = [...Object.keys(tokenClaims).flatMap(nameProblem), ...shapeProblems(text)];
  const parsed = textsOfTemplate(tokenClaims).map(parseTemplateText);
  const placeholders = parsed.reduce((sum, it) => sum + ("value" in it ? it.value.refs.length : 0), 0);
  problems.push(...parsed.flatMap((it) => ("problem" in it ? [it.problem] : [])));
  if (placeholders > PLACEHOLDERS_MAX) problems.push(`must not name more than ${PLACEHOLDERS_MAX} claims`);
  return [...new Set(problems)].map((description) => ({ field: "link.token_claims", description }));
}

const nameProblem = (name: string): string[] =>
  name !== SAYABLE && RESERVED_CLAIMS.includes(name) ? [`must not say ${name}: it is the token's own claim`] : [];

function shapeProblems(text: string): string[] {
  const bytes = Buffer.byteLength(text);
  const isReadable = parseStrictObject(Buffer.from(text)) !== undefined;
  return [
    ...(bytes > TEMPLATE_MAX_BYTES ? [`may be at most ${TEMPLATE_MAX_BYTES} bytes of JSON, not ${bytes}`] : []),
    ...(isReadable ? [] : ["must be at most 15 levels deep, without names such as __proto__ and constructor"]),
    // The database does not hold it.
    ...(text.includes("\\u0000") ? ["must not hold NUL characters"] : []),
  ];
}
