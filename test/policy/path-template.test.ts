import { describe, expect, test } from "vitest";
import { parsePathTemplate } from "../../server/src/policy/path-template.ts";

const read = (text: string) => {
  const parsed = parsePathTemplate(text);
  return "value" in parsed ? parsed.value : undefined;
};

const literal = (text: string) => ({ kind: "literal", text });
const claim = (name: string, ...path: string[]) => ({ kind: "claim", ref: { name, path } });

describe("path templates", () => {
  test.each([
    ["/", [literal("")], "nothing"],
    ["/a/", [literal("a"), literal("")], "nothing"],
    ["/a%20b/caf%C3%A9/é", [literal("a b"), literal("café"), literal("é")], "nothing"],
    ["/api/users/{jwt.sub}/*", [literal("api"), literal("users"), claim("sub", "sub")], "one_or_more"],
    ["/{jwt.a.b}/**", [claim("a.b", "a", "b")], "zero_or_more"],
    [
      '/x/{jwt["https://app.example/id"]}/y',
      [literal("x"), claim('["https://app.example/id"]', "https://app.example/id"), literal("y")],
      "nothing",
    ],
    ['/{jwt["}/{"]}', [claim('["}/{"]', "}/{")], "nothing"],
    ["/*/x", [{ kind: "any" }, literal("x")], "nothing"],
    ["/*", [], "one_or_more"],
    ["/**", [], "zero_or_more"],
    ["/constructor", [literal("constructor")], "nothing"],
  ])("%s is read segment by segment", (text, segments, tail) => {
    expect(read(text)).toEqual({ segments, tail });
  });

  test.each([
    ...[
      "",
      "a",
      "/a//b",
      "//",
      "/a/../b",
      "/.",
      "/a/%2e%2e",
      "/a%2Fb",
      "/a\\b",
      "/a?b",
      "/a#b",
      "/a%",
      "/a%ff",
      "/a%00",
    ],
    ...[
      "/{sub}",
      "/{jwt}",
      "/{jwt.}",
      "/{JWT.sub}",
      "/x{jwt.sub}",
      "/{jwt.sub}x",
      "/{jwt.sub",
      "/jwt.sub}",
      "/{jwt.a b}",
    ],
    ...["/**/a", "/a*", "/*.png", "/***", `/${"a/".repeat(70)}`, "/{jwt.[a]}", "/{jwtx.sub}"],
  ])("%j is refused with a reason", (text) => {
    expect(read(text)).toBeUndefined();
    expect(parsePathTemplate(text)).toEqual({ problem: expect.stringMatching(/\w{4}/) });
  });
});
