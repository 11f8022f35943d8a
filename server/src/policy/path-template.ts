import type { Claims } from "../model/claims.ts";
import { type ClaimRef, parseClaimPath, readClaim } from "./claims.ts";
import type { Parsed } from "./parsed.ts";
import { decodeSegment } from "./path-ambiguity.ts";

/** One segment of a template. A literal is kept decoded: `%61dmin` in a request is `admin` to a rule and to an upstream. */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "claim"; readonly ref: ClaimRef }
  /** Exactly one segment, not empty. */
  | { readonly kind: "any" };

/** What may follow the segments. */
export type TemplateTail = "nothing" | "one_or_more" | "zero_or_more";

export interface PathTemplate {
  readonly segments: readonly TemplateSegment[];
  readonly tail: TemplateTail;
}

const SEGMENTS_MAX = 64;
/** A segment of a template; slashes inside braces count only within a quoted claim name. */
const SEGMENT = /(?:\{(?:[^"{}/]|"(?:[^"\\]|\\.)*")*\})?[^/]*/y;
const CLAIM_SEGMENT = /^\{jwt(?:\.(?=[^[])|(?=\[))(.*)\}$/;
/** A literal that needs no second look. */
const PLAIN_LITERAL = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const FORBIDDEN_LITERAL = /[\\?#/\u0000-\u001f\u007f-\u009f]/;
const ANY: TemplateSegment = { kind: "any" };

/** Reads a path template (contract.md 4); a problem says what to write instead. */
export function parsePathTemplate(text: string): Parsed<PathTemplate> {
  if (!text.startsWith("/")) return { problem: "must begin with /" };
  const parts = splitTemplate(text);
  if (parts.length > SEGMENTS_MAX) return { problem: `must not have more than ${SEGMENTS_MAX} segments` };
  const tail = tailOf(parts.at(-1));
  if (tail !== "nothing") parts.pop();
  const segments: TemplateSegment[] = [];
  for (const [index, part] of parts.entries()) {
    const isLast = tail === "nothing" && index === parts.length - 1;
    const segment = PLAIN_LITERAL.test(part) ? literal(part) : parseSegment(part, isLast);
    if ("problem" in segment) return segment;
    segments.push(segment.value);
  }
  return { value: { segments, tail } };
}

/** A final `*` or `**` is not a segment. */
function tailOf(part: string | undefined): TemplateTail {
  if (part === "*") return "one_or_more";
  return part === "**" ? "zero_or_more" : "nothing";
}

function splitTemplate(text: string): string[] {
  // Only a quoted name can hold a slash.
  if (!text.includes('"')) return text.slice(1).split("/");
  const parts: string[] = [];
  for (let at = 0; at < text.length; at = SEGMENT.lastIndex) {
    SEGMENT.lastIndex = at + 1;
    parts.push(SEGMENT.exec(text)?.[0] ?? "");
  }
  return parts;
}

const literal = (text: string): Parsed<TemplateSegment> => ({ value: { kind: "literal", text } });

function parseSegment(part: string, isLast: boolean): Parsed<TemplateSegment> {
  if (part === "*") return { value: ANY };
  if (part.includes("*")) {
    return {
      problem: "`*` stands for a whole segment, `**` for all that follow, at the end only; write %2A for an asterisk",
    };
  }
  if (part.includes("{") || part.includes("}")) return parseClaimSegment(part);
  if (part === "") return isLast ? literal("") : { problem: "must not have empty segments" };
  const text = decodeSegment(part);
  if (text === undefined) return { problem: "must be percent-encoded UTF-8" };
  // Such a segment is refused as ambiguous in every request: the rule would silently never match.
  if (text === "." || text === ".." || FORBIDDEN_LITERAL.test(text)) {
    return { problem: "must not have dot segments, backslashes, encoded slashes, `?`, `#` or control characters" };
  }
  return literal(text);
}

function parseClaimSegment(part: string): Parsed<TemplateSegment> {
  const path = CLAIM_SEGMENT.exec(part)?.[1];
  if (path === undefined) {
    return { problem: 'claims stand for a whole segment, written {jwt.sub}, {jwt.a.b} or {jwt["name"]}' };
  }
  const ref = parseClaimPath(path);
  if ("problem" in ref) return { problem: `the claim path in braces ${ref.problem}` };
  return { value: { kind: "claim", ref: ref.value } };
}

/** Whether a template names a claim. */
export const namesClaim = (template: PathTemplate): boolean => template.segments.some(({ kind }) => kind === "claim");

/**
 * Text that a claim segment stands for; `unusable` = the claim is there but cannot be one segment (contract.md 4): empty,
 * a dot segment, with `/`, `\`, `%` or a control character, or neither a string nor a safe integer.
 */
export type SegmentText = { readonly text: string } | "missing" | "unusable";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNUSABLE = /^\.{0,2}$|[/\\%\u0000-\u001f\u007f-\u009f]/;

/** Reads the claim of a template segment from verified claims. */
export function segmentText(claims: Claims | undefined, ref: ClaimRef): SegmentText {
  const value = claims === undefined ? undefined : readClaim(claims, ref.path);
  if (value === undefined) return "missing";
  const text = Number.isSafeInteger(value) ? String(value) : value;
  return typeof text !== "string" || UNUSABLE.test(text) ? "unusable" : { text };
}
