import type { Claims } from "../model/claims.ts";
import { invalidFields } from "../model/errors.ts";
import type { Rewrite, Rule } from "../model/link.ts";
import { type CompiledCondition, compileCondition, judgeCondition } from "./claims.ts";
import { decodeSegment } from "./path-ambiguity.ts";
import { type PathTemplate, parsePathTemplate } from "./path-template.ts";
import { meetsQuery, type ParsedQuery, parseQuery, touchesQuery, type WantedQuery } from "./query-condition.ts";
import { type CompiledRewrite, compileRewrite, type RewrittenPath, rewriteLack, rewritePath } from "./rewrite.ts";
import { addToTree, newNode, type PathFit, type RuleNode, walkTree } from "./rule-tree.ts";

/** A rule that has been read once; its path lives in the tree. */
export interface CompiledRule {
  /** Place in the link's list. */
  readonly index: number;
  readonly isDeny: boolean;
  /** Undefined = all but TRACE and CONNECT. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly query: WantedQuery;
  readonly conditions: readonly CompiledCondition[];
  readonly message: string;
  readonly rewrite: CompiledRewrite | undefined;
}

/** A link's rules, compiled; opaque. */
export interface CompiledRules {
  readonly root: RuleNode<CompiledRule>;
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
  const root = newNode<CompiledRule>();
  for (const [index, rule] of rules.entries()) {
    const template = parsePathTemplate(rule.path);
    if ("problem" in template) {
      throw invalidFields([{ field: `rules[${index}].path`, description: template.problem }]);
    }
    addToTree(root, template.value, compileRule(rule, index, template.value));
  }
  return { root };
}

function compileRule(rule: Rule, index: number, template: PathTemplate): CompiledRule {
  const conditions = rule.claims.map((condition, at) => {
    const compiled = compileCondition(condition);
    if ("value" in compiled) return compiled.value;
    throw invalidFields([{ field: `rules[${index}].claims[${at}].path`, description: compiled.problem }]);
  });
  return {
    index,
    isDeny: rule.effect === "DENY",
    methods: rule.methods.length === 0 ? undefined : new Set(rule.methods),
    query: Object.entries(rule.query),
    conditions,
    message: rule.message,
    rewrite: rule.rewrite === undefined ? undefined : readRewrite(rule.rewrite, index, template),
  };
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
  /** Allow rule with a message whose method and path fit, but not its conditions or the user. */
  unmet: CompiledRule | undefined;
}

/**
 * Any matching deny rule denies; else the first matching allow rule decides; none = denied (contract.md 4). What an allow
 * rule rewrites a path to is asked of the deny rules again: a rewrite must not lead around them.
 */
export function matchRules(rules: CompiledRules, request: RuleRequest): RuleVerdict {
  const { denied, allowed, lacking, unmet } = findRules(rules, request);
  if (denied !== undefined) return { isAllowed: false, message: denied.message };
  if (allowed !== undefined) return allowedBy(allowed, rules, request);
  if (lacking !== undefined) return { isAllowed: false, message: "", missingClaim: lacking.claim };
  return { isAllowed: false, message: unmet?.message ?? "" };
}

function allowedBy({ index, rewrite }: CompiledRule, rules: CompiledRules, request: RuleRequest): RuleVerdict {
  if (rewrite === undefined) return { isAllowed: true, ruleIndex: index, rewritten: undefined };
  const rewritten = rewritePath(rewrite, request.path, request.claims);
  const { denied } = findRules(rules, { ...request, path: rewritten.path });
  if (denied !== undefined) return { isAllowed: false, message: denied.message };
  return { isAllowed: true, ruleIndex: index, rewritten };
}

function findRules(rules: CompiledRules, request: RuleRequest): Findings {
  const segments = request.path.slice(1).split("/");
  if (request.path.includes("%")) {
    // Undecodable segments were refused as ambiguous; one that slips through is what no literal and no claim can be.
    for (const [index, segment] of segments.entries()) segments[index] = decodeSegment(segment) ?? "/";
  }
  const found: Findings = { denied: undefined, allowed: undefined, lacking: undefined, unmet: undefined };
  let query: ParsedQuery | undefined;
  const queryOf = () => {
    query ??= parseQuery(request.query);
    return query;
  };
  walkTree(rules.root, segments, request.claims, (rule, fit, isTailEmpty) => {
    if (!fitsMethod(rule, request.method)) return;
    if (rule.isDeny) noteDeny(found, rule, fit, request.claims, queryOf);
    // `/users/1/` is `/users/1` to many servers: `/users/1/*` denies it, but does not allow it.
    else if (!isTailEmpty) noteAllow(found, rule, fit, request.claims, queryOf);
  });
  return found;
}

function fitsMethod({ methods }: CompiledRule, method: string): boolean {
  if (methods === undefined) return method !== "TRACE" && method !== "CONNECT";
  return methods.has(method) || (method === "HEAD" && methods.has("GET"));
}

const isBefore = (rule: CompiledRule, other: CompiledRule | undefined): boolean =>
  other === undefined || rule.index < other.index;

/** A deny rule fails closed: what the token lacks or holds in an unusable form counts as matching. */
function noteDeny(
  found: Findings,
  rule: CompiledRule,
  fit: PathFit,
  claims: Claims | undefined,
  query: () => ParsedQuery,
): void {
  if (fit === "mismatch" || !isBefore(rule, found.denied)) return;
  if (rule.query.length > 0 && !touchesQuery(query(), rule.query)) return;
  for (const condition of rule.conditions) {
    if (judgeCondition(condition, claims) === "unmet") return;
  }
  found.denied = rule;
}

function noteAllow(
  found: Findings,
  rule: CompiledRule,
  fit: PathFit,
  claims: Claims | undefined,
  query: () => ParsedQuery,
): void {
  if (!isBefore(rule, found.allowed)) return;
  const lack = fit === "mismatch" || fit === "unusable" ? "unmet" : lackOf(rule, claims, query);
  if (lack === "unmet") {
    if (rule.message !== "" && isBefore(rule, found.unmet)) found.unmet = rule;
    return;
  }
  const missing = typeof fit === "object" ? fit.missing : lack?.missing;
  if (missing === undefined) found.allowed = rule;
  else if (isBefore(rule, found.lacking?.rule)) found.lacking = { rule, claim: missing };
}

/** What keeps an allow rule's query, claims and rewrite from being met: nothing, only a missing claim (the first), or more. */
function lackOf(
  { query: wanted, conditions, rewrite }: CompiledRule,
  claims: Claims | undefined,
  query: () => ParsedQuery,
): undefined | "unmet" | { readonly missing: string } {
  if (wanted.length > 0 && !meetsQuery(query(), wanted)) return "unmet";
  let missing: string | undefined;
  for (const condition of conditions) {
    const outcome = judgeCondition(condition, claims);
    if (outcome === "unmet") return "unmet";
    if (outcome === "missing") missing ??= condition.ref.name;
  }
  const lack = rewrite === undefined ? undefined : rewriteLack(rewrite, claims);
  if (lack === "unusable") return "unmet";
  missing ??= lack?.missing;
  return missing === undefined ? undefined : { missing };
}
