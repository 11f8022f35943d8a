import type { CompiledRewrite } from "./rewrite.ts";
import type { SlottedCondition, SlottedMethods, SlottedParameter } from "./rule-reads.ts";

/** A rule that has been read once; its path lives in the tree. */
export interface CompiledRule {
  /** Place in the link's list. */
  readonly index: number;
  readonly isDeny: boolean;
  readonly methods: SlottedMethods;
  readonly parameters: readonly SlottedParameter[];
  readonly conditions: readonly SlottedCondition[];
  readonly message: string;
  readonly rewrite: CompiledRewrite | undefined;
}
