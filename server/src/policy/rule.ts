import type { Claims } from "../model/claims.ts";
import { invalidFields } from "../model/errors.ts";
import type { Rewrite, Rule } from "../model/link.ts";
import { type ClaimRef, parseClaimPath } from "./claims.ts";
import type { CompiledRule } from "./compiled-rule.ts";
import { decodeSegment } from "./path-ambiguity.ts";
import { type PathTemplate, parsePathTemplate } from "./path-template.ts";
import { type CompiledRewrite, compileRewrite, type RewrittenPath, rewriteLack, rewritePath } from "./rewrite.ts";
import { RuleList, type Visited } from "./rule-list.ts";
import { RuleReads, Slots, type SlottedMethods } from "./rule-reads.ts";
import { listAt, newNode, type PathFit, type RuleNode, walkTree } from "./rule-tree.ts";

/** A link's rules, compiled; opaque. */
export interface CompiledRules {
  readonly root: RuleNode<RuleList>;
  /** Whether an allow rule has a message. */
  readonly hasMessages: boolean;
}

/** What rules look at. */
export interface RuleRequest {
  readonly method: string;
  /** Beginning with `/`, without query, and not ambiguous (`path-ambiguity.ts`). */
  readonly path: string;
  /** Without `?`; "" = none. */
  readonly query: string;
  /** Of the verified user token; undefined = there is none, every claim is missing. */
  readonly claims: Claims | undefined;
}

export type RuleVerdict =
  | {
      readonly isAllowed: true;
      readonly ruleIndex: number;
      /** Undefined = the path stays as it is. No deny rule matches it; it remains to be asked whether it is ambiguous. */
      readonly rewritten: RewrittenPath | undefined;
    }
  | {
      readonly isAllowed: false;
      /** Public text of the rule that refuses, or would have allowed but for its conditions; "" = the usual one. */
      readonly message: string;
      /** Name of the claim without which no allow rule matched; undefined = it was not for a missing claim. */
      readonly missingClaim?: string;
    };

/** Compiles a list of rules; throws `field_invalid` naming the first wrong field as `rules[i].…`. */
export function compileRules(rules: readonly Rule[]): CompiledRules {
  const root = newNode<RuleList>();
  const shared: SharedParts = { claims: new Map(), parameters: new Slots(), methods: new Map(), templates: new Map() };
  for (const [index, rule] of rules.entries()) {
    const template = templateOf(rule, index, shared);
    const list = listAt(root, template, () => new RuleList());
    list.add(compileRule(rule, index, template, shared));
  }
  return { root, hasMessages: rules.some(({ effect, message }) => effect === "ALLOW" && message !== "") };
}

/** What the rules of one link have in common, read once. */
interface SharedParts {
  /** By claim path. */
  readonly claims: Map<string, { readonly slot: number; readonly ref: ClaimRef }>;
  readonly parameters: Slots;
  /** By their names, in the order written. */
  readonly methods: Map<string, SlottedMethods>;
  readonly templates: Map<string, PathTemplate>;
}

function templateOf({ path }: Rule, index: number, { templates }: SharedParts): PathTemplate {
  const known = templates.get(path);
  if (known !== undefined) return known;
  const template = parsePathTemplate(path);
  if ("problem" in template) {
    throw invalidFields([{ field: `rules[${index}].path`, description: template.problem }]);
  }
  templates.set(path, template.value);
  return template.value;
}

function compileRule(rule: Rule, index: number, template: PathTemplate, shared: SharedParts): CompiledRule {
  return {
    index,
    isDeny: rule.effect === "DENY",
    methods: methodsOf(rule, shared),
    parameters: Object.entries(rule.query).map(([name, value]) => ({ slot: shared.parameters.of(name), name, value })),
    conditions: rule.claims.map((condition, at) => ({
      ...claimOf(condition.path, `rules[${index}].claims[${at}].path`, shared),
      condition,
      values: condition.test === "one_of" ? new Set(condition.values) : NO_VALUES,
    })),
    message: rule.message,
    rewrite: rule.rewrite === undefined ? undefined : readRewrite(rule.rewrite, index, template),
  };
}

const NO_VALUES: ReadonlySet<string> = new Set();

function methodsOf({ methods: names }: Rule, { methods }: SharedParts): SlottedMethods {
  const key = names.join(" ");
  const known = methods.get(key);
  if (known !== undefined) return known;
  const made = { slot: methods.size, names: names.length === 0 ? undefined : new Set(names) };
  methods.set(key, made);
  return made;
}

function claimOf(
  path: string,
  field: string,
  { claims }: SharedParts,
): { readonly slot: number; readonly ref: ClaimRef } {
  const known = claims.get(path);
  if (known !== undefined) return known;
  const ref = parseClaimPath(path);
  if ("problem" in ref) throw invalidFields([{ field, description: ref.problem }]);
  const made = { slot: claims.size, ref: ref.value };
  claims.set(path, made);
  return made;
}

function readRewrite(rewrite: Rewrite, index: number, template: PathTemplate): CompiledRewrite {
  const compiled = compileRewrite(rewrite, template);
  if ("value" in compiled) return compiled.value;
  throw invalidFields([{ field: `rules[${index}].rewrite.${compiled.field}`, description: compiled.problem }]);
}

/** What the walk through the tree has found so far; the lowest index of each kind wins, as list order demands. */
interface Findings {
  denied: CompiledRule | undefined;
  allowed: CompiledRule | undefined;
  /** Allow rule that failed only for a missing claim, and that claim. */
  lacking: { readonly rule: CompiledRule; readonly claim: string } | undefined;
}

/**
 * Any matching deny rule denies; else the first matching allow rule decides; none = denied (contract.md 4). What an allow
 * rule rewrites a path to is asked of the deny rules again: a rewrite must not lead around them.
 */
export function matchRules(rules: CompiledRules, request: RuleRequest): RuleVerdict {
  const { denied, allowed, lacking } = findRules(rules, request);
  if (denied !== undefined) return { isAllowed: false, message: denied.message };
  if (allowed !== undefined) return allowedBy(allowed, rules, request);
  if (lacking !== undefined) return { isAllowed: false, message: "", missingClaim: lacking.claim };
  return { isAllowed: false, message: rules.hasMessages ? messageOf(rules, request) : "" };
}

/** Of the first allow rule with one whose method and path fit, but, since nothing is allowed, not the user or the query. */
function messageOf(rules: CompiledRules, request: RuleRequest): string {
  const reads = new RuleReads(request.method, request.claims, request.query);
  let first: CompiledRule | undefined;
  walkTree(rules.root, segmentsOf(request.path), request.claims, true, (list, _fit, isTailEmpty) => {
    const speaker = isTailEmpty ? undefined : list.firstSpeaker(reads);
    if (speaker !== undefined && isBefore(speaker, first)) first = speaker;
  });
  return first?.message ?? "";
}

function allowedBy({ index, rewrite }: CompiledRule, rules: CompiledRules, request: RuleRequest): RuleVerdict {
  if (rewrite === undefined) return { isAllowed: true, ruleIndex: index, rewritten: undefined };
  const rewritten = rewritePath(rewrite, request.path, request.claims);
  const { denied } = findRules(rules, { ...request, path: rewritten.path });
  if (denied !== undefined) return { isAllowed: false, message: denied.message };
  return { isAllowed: true, ruleIndex: index, rewritten };
}

function findRules(rules: CompiledRules, request: RuleRequest): Findings {
  const found: Findings = { denied: undefined, allowed: undefined, lacking: undefined };
  const { claims } = request;
  const reads = new RuleReads(request.method, claims, request.query);
  walkTree(rules.root, segmentsOf(request.path), claims, false, (list, fit, isTailEmpty) => {
    list.visit(reads, (rule) => {
      if (!reads.fitsMethod(rule.methods)) return "nothing";
      if (rule.isDeny) return noteDeny(found, rule, reads);
      // `/users/1/` is `/users/1` to many servers: `/users/1/*` denies it, but does not allow it.
      return isTailEmpty || fit === "unusable" ? "final" : noteAllow(found, rule, fit, claims, reads);
    });
  });
  return found;
}

/** Decoded segments of a path. */
function segmentsOf(path: string): readonly string[] {
  const segments = path.slice(1).split("/");
  // Undecodable segments were refused as ambiguous; one that slips through is what no literal and no claim can be.
  return path.includes("%") ? segments.map((segment) => decodeSegment(segment) ?? "/") : segments;
}

const isBefore = (rule: CompiledRule, other: CompiledRule | undefined): boolean =>
  other === undefined || rule.index < other.index;

/** A deny rule fails closed: what the token lacks or holds in an unusable form counts as matching. */
function noteDeny(found: Findings, rule: CompiledRule, reads: RuleReads): Visited {
  if (!isBefore(rule, found.denied)) return "final";
  for (const condition of rule.conditions) if (reads.judge(condition) === "unmet") return "nothing";
  if (!reads.touches(rule.parameters)) return "nothing";
  found.denied = rule;
  return "final";
}

function noteAllow(
  found: Findings,
  rule: CompiledRule,
  fit: PathFit,
  claims: Claims | undefined,
  reads: RuleReads,
): Visited {
  if (!isBefore(rule, found.allowed)) return "final";
  const lack = lackOf(rule, claims, reads);
  if (lack === "unmet") return "nothing";
  const missing = typeof fit === "object" ? fit.missing : lack?.missing;
  if (missing === undefined) found.allowed = rule;
  else if (isBefore(rule, found.lacking?.rule)) found.lacking = { rule, claim: missing };
  return missing === undefined ? "final" : "lacking";
}

/** What keeps an allow rule's query, claims and rewrite from being met: nothing, only a missing claim (the first), or more. */
function lackOf(
  { parameters, conditions, rewrite }: CompiledRule,
  claims: Claims | undefined,
  reads: RuleReads,
): undefined | "unmet" | { readonly missing: string } {
  if (!reads.meets(parameters)) return "unmet";
  let missing: string | undefined;
  for (const slotted of conditions) {
    const outcome = reads.judge(slotted);
    if (outcome === "unmet") return "unmet";
    if (outcome === "missing") missing ??= slotted.ref.name;
  }
  const lack = rewrite === undefined ? undefined : rewriteLack(rewrite, claims);
  if (lack === "unusable") return "unmet";
  missing ??= lack?.missing;
  return missing === undefined ? undefined : { missing };
}
