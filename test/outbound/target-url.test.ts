import { describe, expect, test } from "vitest";
import { targetUrlProblem } from "../../server/src/outbound/target-url.ts";

describe("targetUrlProblem", () => {
  const GOOD = [
    "https://api.example",
    "https://api.example:8443/v1?x=1",
    "http://localhost:3000",
    "http://127.0.0.1/a",
    "http://[::1]:80/",
  ];
  test.each(GOOD)("accepts %s", (url) => expect(targetUrlProblem(url)).toBeUndefined());

  const BAD: readonly (readonly [url: string, problem: RegExp])[] = [
    ["api.example/v1", /absolute URL/],
    ["", /absolute URL/],
    ["https://", /absolute URL/],
    ["http://api.example", /must be https/],
    ["http://10.0.0.1/", /must be https/],
    ["http://0.0.0.0/", /must be https/],
    ["ftp://api.example", /https URL/],
    ["file:///etc/passwd", /https URL/],
    ["data:application/json,{}", /https URL/],
    ["https://user@api.example", /user name or password/],
    ["https://:hunter2@api.example", /user name or password/],
  ];
  test.each(BAD)("refuses %s without repeating it", (url, problem) => {
    const text = targetUrlProblem(url);
    expect(text).toMatch(problem);
    expect(text).not.toContain("hunter2");
  });
});
