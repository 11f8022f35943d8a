import { create } from "@bufbuild/protobuf";
import {
  type ClaimCondition as ClaimConditionMessage,
  ClaimConditionSchema,
  RuleEffect,
  type Rule as RuleMessage,
  RuleSchema,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { ClaimCondition } from "../model/claim-condition.ts";
import type { Rule } from "../model/link.ts";
import { enumTable } from "./enum-table.ts";

const EFFECTS = enumTable("effect", { ALLOW: RuleEffect.ALLOW, DENY: RuleEffect.DENY });

/** Which test is set; none = present. The door has made sure that there is at most one. */
export function claimConditionFromProto(message: ClaimConditionMessage): ClaimCondition {
  const { path, equals, oneOf, contains, present } = message;
  if (equals !== undefined) return { path, test: "equals", value: equals };
  if (oneOf.length > 0) return { path, test: "one_of", values: oneOf };
  if (contains !== undefined) return { path, test: "contains", value: contains };
  return { path, test: "present", present: present ?? true };
}

export function claimConditionToProto(condition: ClaimCondition): ClaimConditionMessage {
  const { path } = condition;
  switch (condition.test) {
    case "equals":
      return create(ClaimConditionSchema, { path, equals: condition.value });
    case "one_of":
      return create(ClaimConditionSchema, { path, oneOf: [...condition.values] });
    case "contains":
      return create(ClaimConditionSchema, { path, contains: condition.value });
    case "present":
      return create(ClaimConditionSchema, { path, present: condition.present });
  }
}

export const ruleFromProto = (message: RuleMessage): Rule => ({
  effect: EFFECTS.fromProto(message.effect, "ALLOW"),
  methods: message.methods,
  path: message.path,
  query: message.query,
  claims: message.claims.map(claimConditionFromProto),
  message: message.message,
  ...(message.rewrite !== undefined && {
    rewrite: { prefix: message.rewrite.prefix, replacement: message.rewrite.replacement },
  }),
});

export const ruleToProto = (rule: Rule): RuleMessage =>
  create(RuleSchema, {
    effect: EFFECTS.toProto(rule.effect),
    methods: [...rule.methods],
    path: rule.path,
    // Sorted: a rule must encode to the same bytes wherever it was read from, or the config digest would differ.
    query: Object.fromEntries(Object.entries(rule.query).sort(([a], [b]) => (a < b ? -1 : 1))),
    claims: rule.claims.map(claimConditionToProto),
    message: rule.message,
    ...(rule.rewrite !== undefined && { rewrite: { ...rule.rewrite } }),
  });
