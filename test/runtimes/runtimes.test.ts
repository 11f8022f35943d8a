// Every guarantee on the runtimes that are always installed. The others: runtimes.full.test.ts.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../support/source-file.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { startTokenWorld, type TokenWorld } from "../support/token-world.ts";
import { CASES, DONE } from "./counts.ts";
import { runProgram } from "./program.ts";
import { buildSdk, bundleSuite } from "./sdk-build.ts";

/** Where each runtime lies, and how it runs a file. Node 20 is the oldest the SDK promises; the machine's own Node may be one. */
const RUNTIMES: readonly (readonly [name: string, program: string, args: readonly string[]])[] = [
  ["Node (this one)", process.execPath, []],
  ["Node of the machine", "/usr/bin/node", []],
  ["Deno", join(ROOT, "node_modules/@deno/linux-x64-glibc/deno"), ["run", "-A", "--no-lock", "--no-config"]],
  ["Bun", join(ROOT, "node_modules/@oven/bun-linux-x64/bin/bun"), ["run"]],
];

const dir = makeTmpDir();
let world: TokenWorld;
let suite: string;

beforeAll(async () => {
  buildSdk(dir.path);
  [world, suite] = await Promise.all([startTokenWorld(), bundleSuite(dir.path, "in-process")]);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

for (const [name, program, args] of RUNTIMES) {
  test.concurrent(`${name} keeps every guarantee, and ends by itself`, async ({ skip }) => {
    const optional = name === "Node of the machine" || process.platform !== "linux" || process.arch !== "x64";
    skip(optional && !existsSync(program), `${program} is not installed`);
    const { rest, passed, stderr, code } = await runProgram(program, [...args, suite, world.url], dir.path);
    expect(rest, stderr).toEqual(DONE);
    expect([passed, code]).toEqual([CASES, 0]);
  });
}
