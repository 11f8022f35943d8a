import type { ClaimCondition } from "../model/claim-condition.ts";
import type { Claims } from "../model/claims.ts";
import { type ClaimRef, type ConditionOutcome, claimText, readClaim, wordsOf } from "./claims.ts";
import { type ParsedQuery, parseQuery, touchesQuery } from "./query-condition.ts";

/** Numbers for names that several rules of a link mention, so that what a request has under each is read once. */
export class Slots {
  readonly #byName = new Map<string, number>();

  of(name: string): number {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    this.#byName.set(name, this.#byName.size);
    return this.#byName.size - 1;
  }
}

/** A condition and the slot of its claim. */
export interface SlottedCondition {
  readonly slot: number;
  readonly ref: ClaimRef;
  readonly condition: ClaimCondition;
  /** Of `one_of`. */
  readonly values: ReadonlySet<string>;
}

/** A parameter that must have a value, and the slot of its name. */
export interface SlottedParameter {
  readonly slot: number;
  readonly name: string;
  readonly value: string;
}

/** Methods that some rules share; undefined names = all but TRACE and CONNECT. */
export interface SlottedMethods {
  readonly slot: number;
  readonly names: ReadonlySet<string> | undefined;
}

/** Stands for what is not there, so that it is looked for once. */
const ABSENT = Symbol("absent");
/** Stands for a claim that has no text: an object, an array. */
const NO_TEXT = Symbol("no text");

/**
 * What is known of one request so far: each claim, parameter and method is read once, however many rules ask (a thousand
 * rules that differ in one value cost a thousand comparisons, not a thousand look-ups).
 */
export class RuleReads {
  readonly #method: string;
  readonly #claims: Claims | undefined;
  readonly #queryText: string;
  #query: ParsedQuery | undefined;
  readonly #texts: (string | typeof ABSENT | typeof NO_TEXT)[] = [];
  readonly #words: ReadonlySet<string>[] = [];
  readonly #uniform: (string | typeof ABSENT)[] = [];
  readonly #any: ReadonlySet<string>[] = [];
  readonly #fits: boolean[] = [];

  constructor(method: string, claims: Claims | undefined, query: string) {
    this.#method = method;
    this.#claims = claims;
    this.#queryText = query;
  }

  fitsMethod({ slot, names }: SlottedMethods): boolean {
    const known = this.#fits[slot];
    if (known !== undefined) return known;
    const method = this.#method;
    const fits =
      names === undefined
        ? method !== "TRACE" && method !== "CONNECT"
        : names.has(method) || (method === "HEAD" && names.has("GET"));
    this.#fits[slot] = fits;
    return fits;
  }

  /** As `judgeCondition`. */
  judge(slotted: SlottedCondition): ConditionOutcome {
    const { condition } = slotted;
    const text = this.#textAt(slotted);
    if (text === ABSENT) return condition.test === "present" && !condition.present ? "met" : "missing";
    switch (condition.test) {
      case "equals":
        return text === condition.value ? "met" : "unmet";
      case "one_of":
        return text !== NO_TEXT && slotted.values.has(text) ? "met" : "unmet";
      case "contains":
        return this.#wordsAt(slotted).has(condition.value) ? "met" : "unmet";
      case "present":
        return condition.present ? "met" : "unmet";
    }
  }

  /** Whether each parameter has its value in every repetition and every reading of the query: what an allow rule demands. */
  meets(wanted: readonly SlottedParameter[]): boolean {
    if (wanted.length === 0) return true;
    for (const { slot, name, value } of wanted) if (this.#uniformAt(slot, name) !== value) return false;
    return true;
  }

  /** Whether each parameter has its value somewhere in one reading: enough for a deny rule, which a repeated name must not switch off. */
  touches(wanted: readonly SlottedParameter[]): boolean {
    if (wanted.length === 0) return true;
    for (const { slot, name, value } of wanted) if (!this.#anyAt(slot, name).has(value)) return false;
    return touchesQuery(this.#parsed(), wanted);
  }

  /** Texts a claim offers to conditions: its own, or its words for `contains`; undefined = the token lacks it. */
  claimTexts(slotted: SlottedCondition): readonly string[] | undefined {
    const text = this.#textAt(slotted);
    if (text === ABSENT) return undefined;
    if (slotted.condition.test === "contains") return [...this.#wordsAt(slotted)];
    return text === NO_TEXT ? [] : [text];
  }

  /** Every value of a parameter, in any reading of the query. */
  parameterTexts({ slot, name }: SlottedParameter): readonly string[] {
    return [...this.#anyAt(slot, name)];
  }

  #parsed(): ParsedQuery {
    this.#query ??= parseQuery(this.#queryText);
    return this.#query;
  }

  #anyAt(slot: number, name: string): ReadonlySet<string> {
    const known = this.#any[slot];
    if (known !== undefined) return known;
    const any = new Set(this.#parsed().readings.flatMap((reading) => reading.get(name) ?? []));
    this.#any[slot] = any;
    return any;
  }

  #textAt({ slot, ref }: SlottedCondition): string | typeof ABSENT | typeof NO_TEXT {
    const known = this.#texts[slot];
    if (known !== undefined) return known;
    const value = this.#claims === undefined ? undefined : readClaim(this.#claims, ref.path);
    const text = value === undefined ? ABSENT : (claimText(value) ?? NO_TEXT);
    this.#texts[slot] = text;
    return text;
  }

  #wordsAt({ slot, ref }: SlottedCondition): ReadonlySet<string> {
    const known = this.#words[slot];
    if (known !== undefined) return known;
    const words = new Set(wordsOf(readClaim(this.#claims ?? {}, ref.path)));
    this.#words[slot] = words;
    return words;
  }

  /** The one value of a parameter; absent also when its repetitions or the readings of the query differ. */
  #uniformAt(slot: number, name: string): string | typeof ABSENT {
    const known = this.#uniform[slot];
    if (known !== undefined) return known;
    const found = this.#parsed().readings.map((reading) => reading.get(name) ?? []);
    const value = found[0]?.[0] ?? ABSENT;
    const isUniform = found.every((values) => values.length > 0 && values.every((one) => one === value));
    this.#uniform[slot] = isUniform ? value : ABSENT;
    return this.#uniform[slot];
  }
}
