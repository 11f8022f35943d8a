import type { Claims } from "../model/claims.ts";
import type { ClaimRef } from "./claims.ts";
import { type PathTemplate, segmentText, type TemplateSegment } from "./path-template.ts";

/** Rules by the segments of their paths: a request visits only the branches its own segments lead to. */
export interface RuleNode<Rule> {
  literals: Map<string, RuleNode<Rule>> | undefined;
  any: RuleNode<Rule> | undefined;
  /** By the name of the claim. */
  claims: Map<string, { readonly ref: ClaimRef; readonly lacks: PathFit; readonly node: RuleNode<Rule> }> | undefined;
  /** Rules whose path ends here. */
  ends: Rule[] | undefined;
  /** Rules that admit one or more segments below here. */
  below: Rule[] | undefined;
  /** Rules that admit zero or more segments from here on. */
  onwards: Rule[] | undefined;
}

/**
 * How a path fits a rule: wholly; but for a claim the token lacks (its name); but for a claim that cannot be a segment;
 * but for a claim with another value.
 */
export type PathFit = "whole" | "unusable" | "mismatch" | { readonly missing: string };

export const newNode = <Rule>(): RuleNode<Rule> => ({
  literals: undefined,
  any: undefined,
  claims: undefined,
  ends: undefined,
  below: undefined,
  onwards: undefined,
});

const LISTS = { nothing: "ends", one_or_more: "below", zero_or_more: "onwards" } as const;

/** Adds a rule under its template. */
export function addToTree<Rule>(root: RuleNode<Rule>, template: PathTemplate, rule: Rule): void {
  let node = root;
  for (const segment of template.segments) node = childOf(node, segment);
  const list = LISTS[template.tail];
  node[list] ??= [];
  node[list].push(rule);
}

function childOf<Rule>(node: RuleNode<Rule>, segment: TemplateSegment): RuleNode<Rule> {
  switch (segment.kind) {
    case "literal": {
      node.literals ??= new Map();
      const known = node.literals.get(segment.text);
      const child = known ?? newNode<Rule>();
      if (known === undefined) node.literals.set(segment.text, child);
      return child;
    }
    case "any":
      node.any ??= newNode();
      return node.any;
    case "claim": {
      const { ref } = segment;
      node.claims ??= new Map();
      const known = node.claims.get(ref.name);
      const child = known ?? { ref, lacks: { missing: ref.name }, node: newNode<Rule>() };
      if (known === undefined) node.claims.set(ref.name, child);
      return child.node;
    }
  }
}

/** What one walk looks at. */
interface Walk<Rule> {
  readonly segments: readonly string[];
  readonly claims: Claims | undefined;
  readonly visit: (rule: Rule, fit: PathFit, isTailEmpty: boolean) => void;
}

/**
 * Calls `visit` for each rule whose path fits these decoded segments, its claims aside: how those fit is `fit`'s to say.
 * `isTailEmpty`: a final `*` stands for a trailing slash only.
 */
export function walkTree<Rule>(
  root: RuleNode<Rule>,
  segments: readonly string[],
  claims: Claims | undefined,
  visit: Walk<Rule>["visit"],
): void {
  walk({ segments, claims, visit }, root, 0, "whole");
}

function walk<Rule>(context: Walk<Rule>, node: RuleNode<Rule>, depth: number, fit: PathFit): void {
  const segment = context.segments[depth];
  if (node.onwards !== undefined) visitAll(context, node.onwards, fit, false);
  if (segment === undefined) {
    if (node.ends !== undefined) visitAll(context, node.ends, fit, false);
    return;
  }
  if (node.below !== undefined) visitAll(context, node.below, fit, segment === "");
  const next = node.literals?.get(segment);
  if (next !== undefined) walk(context, next, depth + 1, fit);
  if (node.any !== undefined && segment !== "") walk(context, node.any, depth + 1, fit);
  if (node.claims === undefined) return;
  for (const { ref, lacks, node: child } of node.claims.values()) {
    const wanted = segmentText(context.claims, ref);
    const here = typeof wanted === "object" ? fitOf(wanted.text, segment) : wanted === "missing" ? lacks : wanted;
    walk(context, child, depth + 1, worse(fit, here));
  }
}

function visitAll<Rule>({ visit }: Walk<Rule>, rules: readonly Rule[], fit: PathFit, isTailEmpty: boolean): void {
  for (const rule of rules) visit(rule, fit, isTailEmpty);
}

const fitOf = (wanted: string, segment: string): PathFit => (wanted === segment ? "whole" : "mismatch");

/** A mismatch outweighs all; an unusable claim a missing one; of two missing ones the first is named. */
function worse(a: PathFit, b: PathFit): PathFit {
  if (a === "whole" || b === "mismatch") return b;
  if (a === "mismatch" || b === "whole") return a;
  return a === "unusable" ? a : b === "unusable" ? b : a;
}
