import type { ClaimCondition } from "../model/claim-condition.ts";
import type { Claims } from "../model/claims.ts";
import type { Parsed } from "./parsed.ts";

/** Where a claim stands: member names from the payload inwards. */
export type ClaimPath = readonly [string, ...string[]];

/** A claim path and how the configuration writes it: that text is what a refusal names. */
export interface ClaimRef {
  readonly name: string;
  readonly path: ClaimPath;
}

/** One step of a claim path: `name`, `.name` or `["any name"]`. */
const STEP = /(?:^|(?<!^)\.)([\w$:@-]+)|\[("(?:[^"\\]|\\.)*")\]/y;
const DEPTH_MAX = 8;

/** Reads `sub`, `a.b`, `["https://app.example/roles"]` and mixtures (`a["b c"].d`); at most 8 steps. */
export function parseClaimPath(text: string): Parsed<ClaimRef> {
  const names: string[] = [];
  STEP.lastIndex = 0;
  for (let at = 0; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const name = stepName(STEP.exec(text));
    if (name === undefined) {
      return { problem: 'must be a claim path such as sub, a.b or ["https://app.example/roles"]' };
    }
    names.push(name);
  }
  const [first, ...rest] = names;
  if (first === undefined) return { problem: "must name a claim" };
  if (names.length > DEPTH_MAX) return { problem: `must not be deeper than ${DEPTH_MAX} names` };
  return { value: { name: text, path: [first, ...rest] } };
}

function stepName(match: RegExpExecArray | null): string | undefined {
  if (match === null) return undefined;
  if (match[2] === undefined) return match[1];
  try {
    const name: unknown = JSON.parse(match[2]);
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The claim at a path; undefined when absent or null. Own members of JSON objects only, so that no path reaches
 * `constructor`, `__proto__` or an array's `length`.
 */
export function readClaim(claims: Claims, path: ClaimPath): unknown {
  let value = ownMember(claims, path[0]);
  for (let depth = 1; depth < path.length; depth += 1) value = ownMember(value, path[depth] ?? "");
  return value ?? undefined;
}

function ownMember(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Claims)[name] : undefined;
}

/** A string, number or boolean as text; undefined for everything else and for numbers that JSON cannot carry exactly. */
export function claimText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  return typeof value === "number" && Number.isFinite(value) ? JSON.stringify(value) : undefined;
}

/** A condition that has been read once. */
export interface CompiledCondition {
  readonly ref: ClaimRef;
  readonly test: (value: unknown) => boolean;
  /** Met by a token that lacks the claim: `present: false`. */
  readonly wantsAbsence: boolean;
}

/** Compiles a condition; a problem is one of its claim path. */
export function compileCondition(condition: ClaimCondition): Parsed<CompiledCondition> {
  const parsed = parseClaimPath(condition.path);
  if ("problem" in parsed) return parsed;
  const wantsAbsence = condition.test === "present" && !condition.present;
  return { value: { ref: parsed.value, test: testOf(condition), wantsAbsence } };
}

function testOf(condition: ClaimCondition): (value: unknown) => boolean {
  switch (condition.test) {
    case "equals":
      return (value) => value === condition.value || claimText(value) === condition.value;
    case "one_of": {
      const values = new Set(condition.values);
      return (value) => {
        const text = claimText(value);
        return text !== undefined && values.has(text);
      };
    }
    case "contains":
      return (value) => wordsOf(value).includes(condition.value);
    case "present":
      return () => condition.present;
  }
}

/** The elements of an array as text, or the words of a text separated by spaces (`scope`, RFC 8693 4.2). */
export function wordsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  if (!Array.isArray(value)) return [];
  return value.map(claimText).filter((text) => text !== undefined);
}

/** `missing`: the token lacks the claim and the condition wanted it. */
export type ConditionOutcome = "met" | "missing" | "unmet";

/** Judges one condition; `claims` undefined = there is no token, so every claim is missing. */
export function judgeCondition(condition: CompiledCondition, claims: Claims | undefined): ConditionOutcome {
  const value = claims === undefined ? undefined : readClaim(claims, condition.ref.path);
  if (value === undefined) return condition.wantsAbsence ? "met" : "missing";
  return condition.test(value) ? "met" : "unmet";
}
