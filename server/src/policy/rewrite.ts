import type { Claims } from "../model/claims.ts";
import type { Rewrite } from "../model/link.ts";
import type { Parsed } from "./parsed.ts";
import { type PathTemplate, parsePathTemplate, segmentText, type TemplateSegment } from "./path-template.ts";

/** A rewrite that has been read once, for a rule whose path begins with its prefix. */
export interface CompiledRewrite {
  /** How many segments are replaced. */
  readonly depth: number;
  /** Literals and claims. */
  readonly replacement: readonly TemplateSegment[];
}

/** A path after its rewrite: what is forwarded is `path`, byte for byte. */
export interface RewrittenPath {
  readonly path: string;
  /** What was replaced, as the client wrote it, and what stands there now; "" = nothing. The way back for redirects. */
  readonly from: string;
  readonly to: string;
}

/** What is wrong with a rewrite, and with which part of it. */
export interface RewriteProblem {
  readonly field: "prefix" | "replacement";
  readonly problem: string;
}

/** Compiles a rewrite for a rule with this path. */
export function compileRewrite(
  { prefix, replacement }: Rewrite,
  template: PathTemplate,
): { readonly value: CompiledRewrite } | RewriteProblem {
  const from = wholeSegments(prefix);
  if ("problem" in from) return { field: "prefix", problem: from.problem };
  // Only so is every path that the rule admits certain to begin with what is replaced.
  const isBeginning = from.value.every((segment, at) => isSameSegment(segment, template.segments[at]));
  if (!isBeginning)
    return { field: "prefix", problem: "must be leading segments of the rule's path, as written there" };
  const to = wholeSegments(replacement);
  if ("problem" in to) return { field: "replacement", problem: to.problem };
  const isOpen = to.value.some((segment) => segment.kind === "any");
  if (isOpen) return { field: "replacement", problem: "must not hold *: it says what is sent" };
  return { value: { depth: from.value.length, replacement: to.value } };
}

/** The segments of a path without a slash or star at its end; `/` has none. */
function wholeSegments(text: string): Parsed<readonly TemplateSegment[]> {
  if (text === "/") return { value: [] };
  const parsed = parsePathTemplate(text);
  if ("problem" in parsed) return parsed;
  const { segments, tail } = parsed.value;
  const last = segments.at(-1);
  const isWhole = tail === "nothing" && !(last?.kind === "literal" && last.text === "");
  return isWhole ? { value: segments } : { problem: "must end with a whole segment, without * or a slash" };
}

function isSameSegment(a: TemplateSegment, b: TemplateSegment | undefined): boolean {
  if (a.kind === "literal") return b?.kind === "literal" && a.text === b.text;
  return a.kind === "claim" ? b?.kind === "claim" && a.ref.name === b.ref.name : b?.kind === "any";
}

/** What keeps a token from filling in the replacement: nothing, a claim it lacks, or one that cannot be a segment. */
export function rewriteLack(
  { replacement }: CompiledRewrite,
  claims: Claims | undefined,
): undefined | "unusable" | { readonly missing: string } {
  let missing: string | undefined;
  for (const segment of replacement) {
    if (segment.kind !== "claim") continue;
    const text = segmentText(claims, segment.ref);
    if (text === "unusable") return "unusable";
    if (text === "missing") missing ??= segment.ref.name;
  }
  return missing === undefined ? undefined : { missing };
}

/** Rewrites a path that the rule admits, for a token that lacks nothing (`rewriteLack`). */
export function rewritePath({ depth, replacement }: CompiledRewrite, path: string, claims: Claims | undefined) {
  let end = 0;
  for (let segment = 0; segment < depth; segment += 1) {
    const next = path.indexOf("/", end + 1);
    end = next < 0 ? path.length : next;
  }
  const to = replacement.map((segment) => `/${encodeSegment(textOf(segment, claims))}`).join("");
  const rewritten: RewrittenPath = { path: `${to}${path.slice(end)}` || "/", from: path.slice(0, end), to };
  return rewritten;
}

function textOf(segment: TemplateSegment, claims: Claims | undefined): string {
  if (segment.kind === "literal") return segment.text;
  const text = segment.kind === "claim" ? segmentText(claims, segment.ref) : "unusable";
  if (typeof text === "object") return text.text;
  throw new TypeError("a rewrite was asked for a token that cannot fill it in");
}

/** RFC 3986 3.3: what a segment may hold stays readable; `;` does not, since some servers cut segments there. */
const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replace(/%(?:3A|40|24|26|2B|2C|3D)/g, decodeURIComponent);
