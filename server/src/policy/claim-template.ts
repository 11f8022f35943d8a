import type { Claims } from "../model/claims.ts";
import { type ClaimRef, claimText, parseClaimPath, readClaim } from "./claims.ts";
import type { Parsed } from "./parsed.ts";

/** `{jwt.sub}`, `{jwt.a.b}`, `{jwt["any name"]}`, as in path templates. */
const PLACEHOLDER = /\{jwt(?:\.(?=[^[])|(?=\[))((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\}/g;
/** What is left of it was meant as one. */
const BEGINNING = "{jwt";

/** A text of a template, taken apart: what stands between the claims, one more than there are claims. */
interface TextParts {
  readonly literals: readonly string[];
  readonly refs: readonly ClaimRef[];
}

/** Takes a text with placeholders apart; a problem says what to write instead. */
export function parseTemplateText(text: string): Parsed<TextParts> {
  const literals: string[] = [];
  const refs: ClaimRef[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    const ref = parseClaimPath(match[1] ?? "");
    if ("problem" in ref) return { problem: `the claim path in braces ${ref.problem}` };
    literals.push(text.slice(at, match.index));
    refs.push(ref.value);
    at = match.index + match[0].length;
  }
  literals.push(text.slice(at));
  if (literals.some((literal) => literal.includes(BEGINNING)))
    return { problem: 'claims are written {jwt.sub}, {jwt.a.b} or {jwt["name"]}' };
  return { value: { literals, refs } };
}

/** Every text in a template, however deep. */
export function textsOfTemplate(template: unknown): readonly string[] {
  if (typeof template === "string") return [template];
  if (typeof template !== "object" || template === null) return [];
  return Object.values(template).flatMap(textsOfTemplate);
}

/**
 * The claims a template stands for. A text that is one placeholder becomes the claim as it is, whatever its type; in a
 * longer text a claim stands as text. What names a claim that is missing, or in a longer text one that is no text, number
 * or boolean, is left out: nothing is made up.
 * @param template checked before (`parseTemplateText`)
 */
export const applyTemplate = (template: Claims, source: Claims): Claims => filledObject(template, source);

function filled(value: unknown, source: Claims): unknown {
  if (typeof value === "string") return filledText(value, source);
  if (Array.isArray(value)) return value.map((it) => filled(it, source)).filter((it) => it !== undefined);
  return typeof value === "object" && value !== null ? filledObject(value as Claims, source) : value;
}

function filledObject(object: Claims, source: Claims): Claims {
  const entries = Object.entries(object).map(([name, value]) => [name, filled(value, source)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function filledText(text: string, source: Claims): unknown {
  const parsed = parseTemplateText(text);
  if ("problem" in parsed) return undefined;
  const { literals, refs } = parsed.value;
  const values = refs.map(({ path }) => readClaim(source, path));
  const [first = "", ...rest] = literals;
  if (refs.length === 1 && literals.every((literal) => literal === "")) return values[0];
  const texts = values.map(claimText);
  if (texts.includes(undefined)) return undefined;
  return first + rest.map((literal, index) => `${texts[index]}${literal}`).join("");
}
