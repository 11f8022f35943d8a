import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAmbiguousPath } from "../../server/src/policy/path-ambiguity.ts";

const ALWAYS = [
  ...["/..", "/.", "/a/../b", "/a/./b", "/a/..", "/a/.", "/%2e%2e/b", "/.%2E/b", "/%2e/b", "/a/%2E."],
  ...[
    "/a/..;x/b",
    "/a/..%3bx/b",
    "/a/%252e%252e/b",
    "/a/%25252e%25252E/b",
    "/a/..%252fb",
    "/a%2f..%2fb",
    "/a%5c..%5cb",
  ],
  ...["/a\\b", "/a/%00", "/a%0d%0ab", "/a%7f", "/a%c2%85", "/a%1f"],
  ...[
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%u0041",
    "/a%c0%ae",
    "/a%ff",
    "/a%ed%a0%80",
    "/a%e2%82",
    "/é",
    "/a b",
    "/a#b",
    "a",
    "",
  ],
];
const LENIENT = ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a//b", "//a", "/a//", "/a;b", "/a;v=1/b"];
const FINE = [
  ...["/", "/a", "/a/", "/a.b/c", "/.well-known/x", "/...", "/a..b", "/..a", "/a%20b", "/auth0%7C42", "/auth0|42"],
  ...["/caf%C3%A9", "/a%25", "/100%25", "/a%2561", "/a%252Fb", "/~a/!$&'()*+,=:@", "/%F0%9F%98%80"],
];

describe("ambiguous paths", () => {
  test.each(ALWAYS)("%j is refused, whatever the link sets", (path) => {
    expect([isAmbiguousPath(path, false), isAmbiguousPath(path, true)]).toEqual([true, true]);
  });

  test.each(LENIENT)("%j is refused unless the link allows it", (path) => {
    expect([isAmbiguousPath(path, false), isAmbiguousPath(path, true)]).toEqual([true, false]);
  });

  test.each(FINE)("%j passes", (path) => {
    expect([isAmbiguousPath(path, false), isAmbiguousPath(path, true)]).toEqual([false, false]);
  });

  test("no path that passes leads upwards or to other segments, however often it is decoded", () => {
    const piece = fc.constantFrom(
      "/",
      ".",
      "%",
      "2",
      "e",
      "E",
      "f",
      "5",
      "c",
      "C",
      "%2e",
      "%2F",
      "%25",
      ";",
      "\\",
      "a",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const path = `/${pieces.join("")}`;
        if (isAmbiguousPath(path, true)) return;
        let text = path;
        for (let round = 0; round < 4; round += 1) {
          const segments = text.split(/[/\\]/).map((segment) => segment.split(";")[0]);
          expect(segments.some((segment) => segment === "." || segment === "..")).toBe(false);
          try {
            text = decodeURIComponent(text);
          } catch {
            return;
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("a strict path has the segments that a URL parser sees", () => {
    const piece = fc.constantFrom("/", ".", "%2e", "a", "b%20", "..", "//", "%2F", "\\", "c");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const path = `/${pieces.join("")}`;
        if (!isAmbiguousPath(path, false)) expect(new URL(`http://h.example${path}`).pathname).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });
});
