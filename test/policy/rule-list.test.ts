// Long lists of rules are indexed: the verdict must be the one that going through the list gives.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClaimCondition } from "../../server/src/model/claim-condition.ts";
import type { Rule } from "../../server/src/model/link.ts";
import { checkLink } from "../../server/src/policy/link-check.ts";
import { compileRules, matchRules, type RuleRequest, type RuleVerdict } from "../../server/src/policy/rule.ts";
import { allow, sampleIssuer, sampleLink } from "../judge/sample.ts";

const word = fc.constantFrom("a", "b", "c", "7", "true");
const claim = fc.constantFrom("tier", "roles", "n", "deep.x", "none");
const condition: fc.Arbitrary<ClaimCondition> = fc.oneof(
  fc.record({ path: claim, test: fc.constant("equals" as const), value: word }),
  fc.record({
    path: claim,
    test: fc.constant("one_of" as const),
    values: fc.array(word, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ path: claim, test: fc.constant("contains" as const), value: word }),
  fc.record({ path: claim, test: fc.constant("present" as const), present: fc.boolean() }),
);
const rule: fc.Arbitrary<Rule> = fc.record({
  effect: fc.constantFrom("ALLOW" as const, "ALLOW" as const, "ALLOW" as const, "DENY" as const),
  methods: fc.constantFrom([], ["GET"], ["POST"], ["GET", "POST"]),
  path: fc.constantFrom("/x/*", "/x/**", "/{jwt.tier}/*", "/x/y"),
  query: fc.dictionary(fc.constantFrom("p", "q"), word, { maxKeys: 2 }),
  claims: fc.array(condition, { maxLength: 2 }),
  message: fc.constantFrom("", "no"),
});
const value = fc.oneof(word, fc.constantFrom(7, true, ["a", "b"], "a b", {}, ["7", 7]));
const request: fc.Arbitrary<RuleRequest> = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST"),
  path: fc.constantFrom("/x/y", "/x/", "/a/y", "/x"),
  query: fc.constantFrom("", "p=a", "p=a&p=b", "q=b&p=a", "p=a;q=b", "q=7"),
  claims: fc.option(fc.dictionary(fc.constantFrom("tier", "roles", "n", "deep"), value, { noNullPrototype: true }), {
    nil: undefined,
  }),
});

/** The verdict of contract.md 4 from what each rule says alone. */
function oneByOne(rules: readonly Rule[], asked: RuleRequest): RuleVerdict {
  const alone = rules.map((it, index) => ({ it, index, verdict: matchRules(compileRules([it]), asked) }));
  const denied = rules.findIndex(
    (it) => it.effect === "DENY" && matchRules(compileRules([allow("/**"), it]), { ...asked }).isAllowed === false,
  );
  if (denied >= 0) return { isAllowed: false, message: rules[denied]?.message ?? "" };
  const allowed = alone.find(({ verdict }) => verdict.isAllowed);
  if (allowed !== undefined) return { isAllowed: true, ruleIndex: allowed.index, rewritten: undefined };
  const refused = alone.flatMap(({ verdict }) => (verdict.isAllowed ? [] : [verdict]));
  const lacking = refused.find(({ missingClaim }) => missingClaim !== undefined);
  if (lacking?.missingClaim !== undefined) return { isAllowed: false, message: "", missingClaim: lacking.missingClaim };
  const spoken = alone.find(({ it, verdict }) => it.effect === "ALLOW" && !verdict.isAllowed && verdict.message !== "");
  return { isAllowed: false, message: spoken?.it.message ?? "" };
}

test("an indexed list gives the verdict of its rules one by one", () => {
  fc.assert(
    fc.property(fc.array(rule, { minLength: 12, maxLength: 40 }), request, (rules, asked) => {
      expect(matchRules(compileRules(rules), asked)).toEqual(oneByOne(rules, asked));
    }),
    { numRuns: 400 },
  );
});

test("names that every request would be asked for are bounded when a link is written", () => {
  const problemsOf = (rules: readonly Rule[]) =>
    checkLink(sampleLink({ rules }), { issuers: [sampleIssuer()] }).map(({ description }) => description);
  const many = (length: number, make: (at: number) => Rule) => Array.from({ length }, (_, at) => make(at));
  const inPath = (at: number) => allow(`/{jwt.c${at}}/x`);
  const inQuery = (at: number) => allow("/x", { query: { [`p${at}`]: "1" } });
  const inClaims = (at: number) => allow("/x", { claims: [{ path: `c${at}`, test: "equals", value: "1" }] });
  expect(problemsOf([...many(32, inPath), ...many(100, inQuery), ...many(100, inClaims)])).toEqual([]);
  expect(problemsOf(many(33, inPath))).toEqual(["must not name more than 32 different claims in paths"]);
  expect(problemsOf(many(101, inQuery))).toEqual(["must not name more than 100 different query parameters"]);
  expect(problemsOf(many(101, inClaims))).toEqual(["must not name more than 100 different claims in conditions"]);
  expect(problemsOf([allow(`/${"{jwt.a}/".repeat(9)}x`)])).toEqual(["must not name more than 8 claims"]);
});
