// What the oldest engines lack (React Native's Hermes above all) must not be in what we ship: a release build breaks, not a test.
import { describe, expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { readSourceFiles } from "../support/source-file.ts";

const LACKING: readonly (readonly [what: string, pattern: RegExp, why: string])[] = [
  ["import()", /\bimport\s*\(/, "hermesc refuses it: every release build fails"],
  ["async generators", /\basync\s*(function)?\s*\*/, "hermesc refuses them"],
  ["for await", /\bfor\s+await\b/, "hermesc refuses it"],
  ["using", /\b(await\s+)?using\s+\w+\s*=/, "hermesc refuses it"],
  ["look-behind", /\(\?<[=!]/, "Safari before 16.4 refuses the whole file"],
  ["new Function, eval", /\bnew Function\b|\beval\s*\(/, "content security policies refuse them"],
  ["Promise.withResolvers", /\bwithResolvers\b/, "absent in Node 20 and Hermes"],
  ["AbortSignal.any, .timeout", /\bAbortSignal\.\w/, "absent in Hermes; `any` leaks with long-lived signals"],
  ["throwIfAborted", /\bthrowIfAborted\b/, "absent in Hermes"],
  ["structuredClone", /\bstructuredClone\b/, "absent in Hermes"],
  ["queueMicrotask", /\bqueueMicrotask\b/, "absent in the bare Hermes VM"],
  ["process, Buffer", /\b(process|Buffer)\./, "Node alone has them"],
  ["storage", /\b(local|session)Storage\b|\bdocument\.cookie\b/, "tokens stay in memory unless given a store"],
  ["console", /\bconsole\./, "tokens get into logs"],
];

describe("the SDK's source", () => {
  const all = readSourceFiles("sdk/src/**/*.ts");
  // The rest runs in back ends, which have what Node 20 has; `npm run check:sdk` compiles that with Hermes too.
  const files = all.filter(({ path }) => !/^sdk\/src\/(server|adapters\/next)\//.test(path));

  test("is there", () => {
    expect(files.length).toBeGreaterThan(15);
  });

  test.each(LACKING)("does without %s", (_what, pattern, why) => {
    expect(
      files.filter((file) => pattern.test(file.bareCode)).map((file) => file.path),
      why,
    ).toEqual([]);
  });

  test("imports nothing but itself, adapters apart", () => {
    const foreign = /\bfrom\s*"(?!\.)/;
    const own = all.filter(({ path }) => !path.startsWith("sdk/src/adapters/"));
    expect(own.filter((file) => foreign.test(file.code)).map((file) => file.path)).toEqual([]);
  });
});

test("an error of another copy of the package is recognised by its brand", () => {
  const brand = Symbol.for("conduit-link.error");
  const foreign = Object.assign(new Error("x"), { [brand]: true, code: "session_lost" });
  expect(isConduitError(foreign, "session_lost")).toBe(true);
  expect(isConduitError(foreign, "disposed")).toBe(false);
  for (const other of [new Error("x"), null, undefined, "session_lost", { code: "session_lost" }]) {
    expect(isConduitError(other)).toBe(false);
  }
});
