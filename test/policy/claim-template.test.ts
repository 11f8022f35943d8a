// What a template of claims stands for; whole tokens: test/control/token-claims.test.ts.
import { describe, expect, it } from "vitest";
import { applyTemplate, parseTemplateText, textsOfTemplate } from "../../server/src/policy/claim-template.ts";

const source = {
  ...{ sub: "u-1", n: 7, yes: true, big: 2 ** 60, none: null, list: ["a", 1], "a b": { "c}": "odd" } },
  org: { id: "o", deep: { er: 1 } },
};
const filled = (text: string): unknown => applyTemplate({ it: text }, source).it;

describe("a text of a template", () => {
  it.each<[string, unknown]>([
    ["plain", "plain"],
    ["{jwt.sub}", "u-1"],
    ["{jwt.n}", 7],
    ["{jwt.yes}", true],
    ["{jwt.list}", ["a", 1]],
    ["{jwt.org}", source.org],
    ["{jwt.org.deep.er}", 1],
    ['{jwt["a b"]["c}"]}', "odd"],
    ["<{jwt.sub}-{jwt.n}-{jwt.yes}>", "<u-1-7-true>"],
    ["{jwt.sub}{jwt.sub}", "u-1u-1"],
    [" {jwt.sub}", " u-1"],
    ["{}", "{}"],
    ["{sub} {jw", "{sub} {jw"],
    ["", ""],
  ])("%j becomes the claim as it is, or a text with claims in it", (text, expected) => {
    expect(filled(text)).toEqual(expected);
  });

  it.each([
    "{jwt.absent}",
    "{jwt.none}",
    "x{jwt.absent}",
    "x{jwt.list}",
    "x{jwt.org}",
    "{jwt.sub.x}",
    "{jwt.list.length}",
  ])("%j names nothing that can stand there, and is left out", (text) => {
    expect(applyTemplate({ it: text, kept: 1 }, source)).toEqual({ kept: 1 });
  });

  it.each([
    "{jwt",
    "{jwt}",
    "{jwt.}",
    "{jwt..a}",
    "{jwt.a b}",
    "{jwt.sub",
    "x {jwt[a]}",
    '{jwt["a}',
    "{jwt.[x]}",
    "{jwtsub}",
  ])("%j is refused", (text) => {
    expect(parseTemplateText(text)).toHaveProperty("problem");
  });

  it("reaches no prototype", () => {
    for (const text of ["{jwt.__proto__}", "{jwt.constructor}", "{jwt.sub.length}", "{jwt.toString}"])
      expect(filled(text)).toBeUndefined();
  });
});

it("claims that look like placeholders are not read again: a person's own claim names no other", () => {
  expect(applyTemplate({ a: "{jwt.sub}", b: "x{jwt.sub}" }, { sub: "{jwt.secret}", secret: "s" })).toEqual({
    ...{ a: "{jwt.secret}", b: "x{jwt.secret}" },
  });
});

it("texts are found however deep, names are no texts", () => {
  expect(textsOfTemplate({ "{jwt.a}": ["x", { y: "z" }, 1, null] })).toEqual(["x", "z"]);
});
