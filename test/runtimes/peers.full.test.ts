// The situations that `npm run bench -- sdk` prints: this SDK comes well out of each, and each is one that others do not come well out of, or it
// would prove nothing.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CASES } from "../bench/peers/cases.ts";
import { type Cell, measureCells } from "../bench/peers/table.ts";
import { hasRuntimes, installOnDemand } from "../support/on-demand.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { buildSdk } from "./sdk-build.ts";

const dir = makeTmpDir();
let cells: Cell[];

beforeAll(async () => {
  if (!hasRuntimes) return;
  installOnDemand("runtimes");
  buildSdk(dir.path);
  cells = await measureCells(dir.path);
}, 400_000);
afterAll(() => dir[Symbol.dispose]());

describe.runIf(hasRuntimes).each(Object.keys(CASES))("%s", (name) => {
  test("this SDK comes well out of it", () => {
    const ours = cells.find((cell) => cell.case === name && cell.client === "conduit");
    expect(ours?.isGood, ours?.text).toBe(true);
  });

  test("some other client does not", () => {
    const others = cells.filter((cell) => cell.case === name && cell.client !== "conduit");
    expect(others).toHaveLength(4);
    expect(others.some(({ isGood }) => !isGood)).toBe(true);
  });
});
