import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Claims } from "../../server/src/model/claims.ts";
import type { Rewrite, Rule } from "../../server/src/model/link.ts";
import { checkLink } from "../../server/src/policy/link-check.ts";
import { isAmbiguousPath } from "../../server/src/policy/path-ambiguity.ts";
import { compileRules, matchRules } from "../../server/src/policy/rule.ts";
import { allow, deny, sampleIssuer, sampleLink } from "../judge/sample.ts";

const rewriting = (path: string, prefix: string, replacement: string, change: Partial<Rule> = {}): Rule => ({
  ...allow(path),
  rewrite: { prefix, replacement },
  ...change,
});
const verdict = (rules: readonly Rule[], path: string, claims?: Claims) =>
  matchRules(compileRules(rules), { method: "GET", path, query: "", claims });

describe("the leading segments are replaced, the rest stays byte for byte", () => {
  test.each<[path: string, prefix: string, replacement: string, request: string, forwarded: string]>([
    ["/old/**", "/old", "/new", "/old/a%20b/c", "/new/a%20b/c"],
    ["/old/**", "/old", "/new", "/%6Fld/x", "/new/x"],
    ["/old/**", "/old", "/new", "/old", "/new"],
    ["/old/**", "/old", "/new", "/old/", "/new/"],
    ["/old/**", "/old", "/", "/old/x", "/x"],
    ["/old/**", "/old", "/", "/old", "/"],
    ["/**", "/", "/v2", "/x/y", "/v2/x/y"],
    ["/a/b/**", "/a/b", "/c/d/e", "/a/b/x", "/c/d/e/x"],
    ["/me/**", "/me", "/users/{jwt.sub}", "/me/orders", "/users/auth0%7C42/orders"],
    ["/u/{jwt.sub}/*", "/u/{jwt.sub}", "/users/{jwt.sub}/own", "/u/auth0%7c42/x", "/users/auth0%7C42/own/x"],
    ["/v1/*/items/**", "/v1/*/items", "/items", "/v1/7/items/8", "/items/8"],
    ["/x", "/x", "/caf\u00e9 1/a;b:@c", "/x", "/caf%C3%A9%201/a%3Bb:@c"],
  ])("%s, %s → %s: %s is sent as %s", (path, prefix, replacement, request, forwarded) => {
    expect(verdict([rewriting(path, prefix, replacement)], request, { sub: "auth0|42" })).toMatchObject({
      isAllowed: true,
      rewritten: { path: forwarded },
    });
  });

  test("what was replaced is told, for the way back", () => {
    const found = verdict([rewriting("/me/**", "/me", "/users/{jwt.sub}")], "/%6De/x", { sub: "7" });
    expect(found).toMatchObject({ rewritten: { from: "/%6De", to: "/users/7" } });
  });
});

describe("S13: a claim in a replacement is exactly one segment, or the rule does not match", () => {
  const rules = [rewriting("/me/**", "/me", "/users/{jwt.sub}")];

  test("a token without it lacks the claim", () => {
    expect(verdict(rules, "/me/x", {})).toEqual({ isAllowed: false, message: "", missingClaim: "sub" });
    expect(verdict(rules, "/me/x")).toMatchObject({ isAllowed: false, missingClaim: "sub" });
  });

  test.each(["", ".", "..", "a/b", "../admin", "a\\b", "a%2fb", "%", "a\nb", "\u0000"])("%j opens nothing", (sub) => {
    expect(verdict(rules, "/me/x", { sub })).toEqual({ isAllowed: false, message: "" });
  });

  test("whatever the claim and path, the result has one reading and as many segments as it should", () => {
    const path = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }), { maxLength: 4 });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), path, (sub, segments) => {
        const request = `/me${segments.map((segment) => `/${encodeURIComponent(segment)}`).join("")}`;
        if (isAmbiguousPath(request, false)) return;
        const found = verdict(rules, request, { sub });
        if (!found.isAllowed) return;
        const forwarded = found.rewritten?.path ?? "";
        expect(isAmbiguousPath(forwarded, false)).toBe(false);
        const parts = forwarded.slice(1).split("/");
        expect(parts.length).toBe(2 + segments.length);
        expect(decodeURIComponent(parts[1] ?? "")).toBe(sub);
      }),
    );
  });
});

test("S14: a rewrite does not lead around a deny rule", () => {
  const rules = [rewriting("/me/**", "/me", "/users"), deny("/users/admin/**", { message: "Not there" })];
  expect(verdict(rules, "/me/7").isAllowed).toBe(true);
  expect(verdict(rules, "/me/admin/x")).toEqual({ isAllowed: false, message: "Not there" });
  expect(verdict(rules, "/me/%61dmin").isAllowed).toBe(false);
  expect(verdict([rewriting("/me/**", "/me", "/users"), deny("/me/x")], "/me/x").isAllowed).toBe(false);
});

test("the rewrite is that of the rule that decides", () => {
  const rules = [allow("/a/x"), rewriting("/a/**", "/a", "/b")];
  expect(verdict(rules, "/a/x")).toMatchObject({ ruleIndex: 0, rewritten: undefined });
  expect(verdict(rules, "/a/y")).toMatchObject({ ruleIndex: 1, rewritten: { path: "/b/y" } });
});

describe("what is wrong is said when it is written", () => {
  test.each<[what: string, rule: Rule, field: string]>([
    ["a prefix that is not the rule's", rewriting("/a/**", "/b", "/c"), "rewrite.prefix"],
    ["a prefix longer than the rule's segments", rewriting("/a/**", "/a/b", "/c"), "rewrite.prefix"],
    ["a prefix with half a segment", rewriting("/abc/**", "/ab", "/c"), "rewrite.prefix"],
    ["a prefix with a slash at its end", rewriting("/a/**", "/a/", "/c"), "rewrite.prefix"],
    ["a prefix with stars", rewriting("/a/**", "/a/**", "/c"), "rewrite.prefix"],
    ["a literal where the rule has a claim", rewriting("/{jwt.sub}/**", "/x", "/c"), "rewrite.prefix"],
    ["another claim", rewriting("/{jwt.sub}/**", "/{jwt.org}", "/c"), "rewrite.prefix"],
    ["dot segments", rewriting("/a/**", "/a", "/../c"), "rewrite.replacement"],
    ["encoded dot segments", rewriting("/a/**", "/a", "/%2e%2e/c"), "rewrite.replacement"],
    ["empty segments", rewriting("/a/**", "/a", "//evil.example"), "rewrite.replacement"],
    ["encoded slashes", rewriting("/a/**", "/a", "/b%2fc"), "rewrite.replacement"],
    ["a query", rewriting("/a/**", "/a", "/b?x=1"), "rewrite.replacement"],
    ["stars in the replacement", rewriting("/a/b/c", "/a", "/b/*/x"), "rewrite.replacement"],
    ["a slash at its end", rewriting("/a/**", "/a", "/b/"), "rewrite.replacement"],
    ["a half claim", rewriting("/a/**", "/a", "/u-{jwt.sub}"), "rewrite.replacement"],
    ["a deny rule", rewriting("/a/**", "/a", "/b", { effect: "DENY" }), "rewrite"],
  ])("%s", (_what, rule, field) => {
    const issuers = [sampleIssuer()];
    const link = sampleLink({ rules: [rule] });
    expect(checkLink(link, { issuers }).map((it) => it.field)).toEqual([`link.rules[0].${field}`]);
  });

  test("a link with ambiguous paths", () => {
    const rewrite: Rewrite = { prefix: "/a", replacement: "/b" };
    const link = sampleLink({ allowAmbiguousPaths: true, rules: [{ ...allow("/a/**"), rewrite }] });
    const found = checkLink(link, { issuers: [sampleIssuer()] });
    expect(found.map((it) => it.field)).toEqual(["link.rules[0].rewrite"]);
  });
});
