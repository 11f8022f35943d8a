import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClaimCondition } from "../../server/src/model/claim-condition.ts";
import {
  claimText,
  compileCondition,
  judgeCondition,
  parseClaimPath,
  readClaim,
} from "../../server/src/policy/claims.ts";

const pathOf = (text: string) => {
  const parsed = parseClaimPath(text);
  return "value" in parsed ? parsed.value.path : undefined;
};

describe("claim paths", () => {
  test.each([
    ["sub", ["sub"]],
    ["a.b", ["a", "b"]],
    ["cognito:groups", ["cognito:groups"]],
    ['["https://app.example/roles"]', ["https://app.example/roles"]],
    ['a["b c"].d', ["a", "b c", "d"]],
    ['["a.b"]', ["a.b"]],
    ['["quote\\""]', ['quote"']],
  ])("%s is read as %j", (text, path) => {
    expect(pathOf(text)).toEqual(path);
  });

  test.each([
    "",
    ".",
    ".a",
    "a.",
    "a..b",
    "a b",
    "https://x.example/y",
    "[a]",
    '[""]',
    '["a"',
    "a[0]",
    "a.b.c.d.e.f.g.h.i",
  ])("%j is refused", (text) => {
    expect(pathOf(text)).toBeUndefined();
  });

  test.each(["constructor", "__proto__", "toString", "a.length", "a.0", "b.length", "n.x"])(
    "%s reaches nothing that is not an own member of an object",
    (text) => {
      const claims = { a: ["x"], b: "text", n: null };
      expect(readClaim(claims, pathOf(text) as [string])).toBeUndefined();
    },
  );

  test("any name can be reached in brackets, and nothing else is", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        const claims = JSON.parse(`{${JSON.stringify(name)}:"here","other${name.length}x":1}`) as Record<
          string,
          unknown
        >;
        const path = pathOf(`[${JSON.stringify(name)}]`);
        expect(path).toEqual([name]);
        expect(readClaim(claims, path as [string])).toBe("here");
      }),
    );
  });
});

describe("claim texts", () => {
  test.each([
    ["x", "x"],
    [42, "42"],
    [1.5, "1.5"],
    [true, "true"],
    [Number.POSITIVE_INFINITY, undefined],
    [{}, undefined],
    [["x"], undefined],
  ])("%j → %s", (value, text) => {
    expect(claimText(value)).toBe(text);
  });
});

describe("claim conditions", () => {
  const claims = { role: "admin", n: 7, ok: true, roles: ["a", "b"], scope: "read write", none: null, o: {} };
  const outcome = (condition: ClaimCondition) => {
    const compiled = compileCondition(condition);
    if ("problem" in compiled) throw new Error(compiled.problem);
    return judgeCondition(compiled.value, claims);
  };

  test.each<[ClaimCondition, string]>([
    [{ path: "role", test: "equals", value: "admin" }, "met"],
    [{ path: "role", test: "equals", value: "adm" }, "unmet"],
    [{ path: "n", test: "equals", value: "7" }, "met"],
    [{ path: "ok", test: "equals", value: "true" }, "met"],
    [{ path: "roles", test: "equals", value: "a" }, "unmet"],
    [{ path: "o", test: "equals", value: "[object Object]" }, "unmet"],
    [{ path: "role", test: "one_of", values: ["x", "admin"] }, "met"],
    [{ path: "role", test: "one_of", values: [] }, "unmet"],
    [{ path: "roles", test: "contains", value: "b" }, "met"],
    [{ path: "roles", test: "contains", value: "a, b" }, "unmet"],
    [{ path: "scope", test: "contains", value: "write" }, "met"],
    [{ path: "scope", test: "contains", value: "writ" }, "unmet"],
    [{ path: "role", test: "present", present: true }, "met"],
    [{ path: "role", test: "present", present: false }, "unmet"],
    [{ path: "gone", test: "present", present: false }, "met"],
    [{ path: "none", test: "present", present: true }, "missing"],
    [{ path: "gone", test: "equals", value: "undefined" }, "missing"],
    [{ path: "toString", test: "present", present: true }, "missing"],
  ])("%j is %s", (condition, expected) => {
    expect(outcome(condition)).toBe(expected);
  });
});
