import type { CompiledRule } from "./compiled-rule.ts";
import type { RuleReads, SlottedCondition, SlottedParameter } from "./rule-reads.ts";

/** Shorter lists are gone through faster than an index is asked. */
const INDEXED_FROM = 12;

/** What can lead to a rule: a text of the request that the rule needs, in one place. */
type Key =
  | { readonly at: "claim" | "words"; readonly slotted: SlottedCondition; readonly values: readonly string[] }
  | { readonly at: "query"; readonly parameter: SlottedParameter; readonly values: readonly string[] };

/** Rules of one effect that are led to by the same place. */
interface Group {
  readonly key: Key;
  readonly all: CompiledRule[];
  readonly byValue: Map<string, CompiledRule[]>;
}

/**
 * What became of a rule: nothing; it lacks only a claim; or it is met, or all later ones of the list matter as little.
 */
export type Visited = "nothing" | "lacking" | "final";
export type VisitRule = (rule: CompiledRule) => Visited;

/**
 * Rules with one path. A long list is indexed by the values its rules want, so that a request visits those it could meet:
 * a thousand rules that differ in a claim or a parameter cost as much as a few.
 */
export class RuleList {
  readonly #rules: CompiledRule[] = [];
  #index: { readonly plain: readonly CompiledRule[]; readonly groups: readonly Group[] } | undefined;

  /** In list order. */
  add(rule: CompiledRule): void {
    this.#rules.push(rule);
  }

  /** The first rule of the list that has a message and this method. */
  firstSpeaker(reads: RuleReads): CompiledRule | undefined {
    return this.#rules.find(({ isDeny, message, methods }) => !isDeny && message !== "" && reads.fitsMethod(methods));
  }

  /** Visits every rule that is not certain to be unmet. */
  visit(reads: RuleReads, visit: VisitRule): void {
    if (this.#rules.length < INDEXED_FROM) {
      for (const rule of this.#rules) visit(rule);
      return;
    }
    this.#index ??= makeIndex(this.#rules);
    for (const rule of this.#index.plain) visit(rule);
    for (const group of this.#index.groups) visitGroup(group, reads, visit);
  }
}

function visitGroup({ key, all, byValue }: Group, reads: RuleReads, visit: VisitRule): void {
  const texts = key.at === "query" ? reads.parameterTexts(key.parameter) : reads.claimTexts(key.slotted);
  if (texts === undefined) {
    // The token lacks the claim: a deny rule counts as met, the first allow rule names it, and no other can be met.
    for (const rule of all) if (visit(rule) !== "nothing") return;
    return;
  }
  for (const text of texts) {
    for (const rule of byValue.get(text) ?? NONE) if (visit(rule) === "final") break;
  }
}

const NONE: readonly CompiledRule[] = [];

/** Each rule goes under the key that the fewest others share. */
function makeIndex(rules: readonly CompiledRule[]) {
  const keyed = rules.map((rule) => ({ rule, keys: keysOf(rule) }));
  const hasChoice = keyed.some(({ keys }) => keys.length > 1);
  const weightOf = hasChoice ? weigh(keyed.flatMap(({ keys }) => keys)) : undefined;
  const plain: CompiledRule[] = [];
  const groups = new Map<string, Group>();
  for (const { rule, keys } of keyed) {
    if (weightOf !== undefined) keys.sort((a, b) => weightOf(a) - weightOf(b));
    const [key] = keys;
    if (key === undefined) plain.push(rule);
    else addTo(groups, key, rule);
  }
  return { plain, groups: [...groups.values()] };
}

/** How many rules stand under a key's values. */
function weigh(keys: readonly Key[]): (key: Key) => number {
  const counts = new Map<string, number>();
  for (const key of keys) {
    for (const value of key.values) counts.set(textOf(key, value), (counts.get(textOf(key, value)) ?? 0) + 1);
  }
  return (key) => key.values.reduce((sum, value) => sum + (counts.get(textOf(key, value)) ?? 0), 0);
}

function addTo(groups: Map<string, Group>, key: Key, rule: CompiledRule): void {
  const name = `${rule.isDeny} ${placeOf(key)}`;
  const group = groups.get(name) ?? { key, all: [], byValue: new Map<string, CompiledRule[]>() };
  groups.set(name, group);
  group.all.push(rule);
  for (const value of key.values) {
    const known = group.byValue.get(value);
    if (known === undefined) group.byValue.set(value, [rule]);
    else known.push(rule);
  }
}

function keysOf({ conditions, parameters }: CompiledRule): Key[] {
  const keys: Key[] = [];
  for (const slotted of conditions) {
    const { condition } = slotted;
    if (condition.test === "equals") keys.push({ at: "claim", slotted, values: [condition.value] });
    else if (condition.test === "one_of") keys.push({ at: "claim", slotted, values: condition.values });
    else if (condition.test === "contains") keys.push({ at: "words", slotted, values: [condition.value] });
  }
  for (const parameter of parameters) keys.push({ at: "query", parameter, values: [parameter.value] });
  return keys;
}

const placeOf = (key: Key): string => `${key.at} ${key.at === "query" ? key.parameter.slot : key.slotted.slot}`;
const textOf = (key: Key, value: string): string => `${placeOf(key)} ${value}`;
