import { expect, test } from "vitest";
import { readSourceFiles } from "../support/source-file.ts";

test("a client command starts quickly: database and sockets are imported by the commands that use them", () => {
  const [main] = readSourceFiles("server/src/main.ts");
  const staticImports = [...(main?.code ?? "").matchAll(/^import (?!type\b)[^;]*"(?<from>\.[^"]+)";/gm)];
  const from = staticImports.map(({ groups }) => groups?.from ?? "");
  expect(from).toContain("./cli/explain.ts");
  expect(from.filter((path) => !/^\.\/(cli|model)\/|^\.\/(clock|settings)\.ts$/.test(path))).toEqual([]);
});
