import type { Claims } from "../model/claims.ts";
import type { ClaimRef } from "./claims.ts";
import { type PathTemplate, type SegmentText, segmentText, type TemplateSegment } from "./path-template.ts";

/** Lists of rules by the segments of their paths: a request visits only the branches its own segments lead to. */
export interface RuleNode<List> {
  literals: Map<string, RuleNode<List>> | undefined;
  any: RuleNode<List> | undefined;
  /** By the name of the claim. */
  claims: Map<string, { readonly ref: ClaimRef; readonly lacks: PathFit; readonly node: RuleNode<List> }> | undefined;
  /** Rules whose path ends here. */
  ends: List | undefined;
  /** Rules that admit one or more segments below here. */
  below: List | undefined;
  /** Rules that admit zero or more segments from here on. */
  onwards: List | undefined;
}

/**
 * How a path fits a rule: wholly; but for a claim the token lacks (its name); but for a claim that cannot be a segment;
 * but for a claim with another value.
 */
export type PathFit = "whole" | "unusable" | "mismatch" | { readonly missing: string };

export const newNode = <List>(): RuleNode<List> => ({
  literals: undefined,
  any: undefined,
  claims: undefined,
  ends: undefined,
  below: undefined,
  onwards: undefined,
});

const LISTS = { nothing: "ends", one_or_more: "below", zero_or_more: "onwards" } as const;

/** The list of the rules with this template; `make` makes it for the first one. */
export function listAt<List>(root: RuleNode<List>, template: PathTemplate, make: () => List): List {
  let node = root;
  for (const segment of template.segments) node = childOf(node, segment);
  const name = LISTS[template.tail];
  node[name] ??= make();
  return node[name];
}

function childOf<List>(node: RuleNode<List>, segment: TemplateSegment): RuleNode<List> {
  switch (segment.kind) {
    case "literal": {
      node.literals ??= new Map();
      const known = node.literals.get(segment.text);
      const child = known ?? newNode<List>();
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
      const child = known ?? { ref, lacks: { missing: ref.name }, node: newNode<List>() };
      if (known === undefined) node.claims.set(ref.name, child);
      return child.node;
    }
  }
}

/** What one walk looks at. */
interface Walk<List> {
  readonly segments: readonly string[];
  readonly claims: Claims | undefined;
  /** Of claims that were looked at, by name. */
  readonly texts: Map<string, SegmentText>;
  readonly visit: (list: List, fit: PathFit, isTailEmpty: boolean) => void;
  /** Go on where a claim has another value. */
  readonly isAnyUser: boolean;
}

/**
 * Calls `visit` for each list whose path fits these decoded segments, its claims aside: how those fit is `fit`'s to say.
 * `isTailEmpty`: a final `*` stands for a trailing slash only.
 * @param isAnyUser also the lists whose claims have another value; else there is no `mismatch`
 */
export function walkTree<List>(
  root: RuleNode<List>,
  segments: readonly string[],
  claims: Claims | undefined,
  isAnyUser: boolean,
  visit: Walk<List>["visit"],
): void {
  walk({ segments, claims, visit, isAnyUser, texts: new Map() }, root, 0, "whole");
}

function walk<List>(context: Walk<List>, node: RuleNode<List>, depth: number, fit: PathFit): void {
  if (fit === "mismatch" && !context.isAnyUser) return;
  const segment = context.segments[depth];
  if (node.onwards !== undefined) context.visit(node.onwards, fit, false);
  if (segment === undefined) {
    if (node.ends !== undefined) context.visit(node.ends, fit, false);
    return;
  }
  if (node.below !== undefined) context.visit(node.below, fit, segment === "");
  const next = node.literals?.get(segment);
  if (next !== undefined) walk(context, next, depth + 1, fit);
  if (node.any !== undefined && segment !== "") walk(context, node.any, depth + 1, fit);
  if (node.claims === undefined) return;
  for (const { ref, lacks, node: child } of node.claims.values()) {
    const wanted = textOf(context, ref);
    const here = typeof wanted === "object" ? fitOf(wanted.text, segment) : wanted === "missing" ? lacks : wanted;
    walk(context, child, depth + 1, worse(fit, here));
  }
}

/** Read once, however many branches ask for the claim. */
function textOf<List>({ claims, texts }: Walk<List>, ref: ClaimRef): SegmentText {
  const known = texts.get(ref.name);
  if (known !== undefined) return known;
  const text = segmentText(claims, ref);
  texts.set(ref.name, text);
  return text;
}

const fitOf = (wanted: string, segment: string): PathFit => (wanted === segment ? "whole" : "mismatch");

/** A mismatch outweighs all; an unusable claim a missing one; of two missing ones the first is named. */
function worse(a: PathFit, b: PathFit): PathFit {
  if (a === "whole" || b === "mismatch") return b;
  if (a === "mismatch" || b === "whole") return a;
  return a === "unusable" ? a : b === "unusable" ? b : a;
}
