import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../support/source-file.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";

const CASES = 16;

/** Where each runtime lies, and how it runs a file. Node 20 is the oldest the SDK promises; the machine's own Node may be one. */
const RUNTIMES: readonly (readonly [name: string, program: string, args: readonly string[]])[] = [
  ["Node (this one)", process.execPath, []],
  ["Node of the machine", "/usr/bin/node", []],
  ["Deno", join(ROOT, "node_modules/@deno/linux-x64-glibc/deno"), ["run", "-A", "--no-lock", "--no-config"]],
  ["Bun", join(ROOT, "node_modules/@oven/bun-linux-x64/bin/bun"), ["run"]],
];

const dir = makeTmpDir();
const folder = dir.path;
const bundle = join(folder, "conformance.mjs");

beforeAll(async () => {
  await build({
    entryPoints: [join(ROOT, "test/runtimes/conformance.ts")],
    outfile: bundle,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "node",
    logLevel: "error",
  });
});
afterAll(() => dir[Symbol.dispose]());

for (const [name, program, args] of RUNTIMES) {
  test(`${name} keeps every guarantee, and ends by itself`, async ({ skip }) => {
    const optional = name === "Node of the machine" || process.platform !== "linux" || process.arch !== "x64";
    skip(optional && !existsSync(program), `${program} is not installed`);
    const options = { cwd: folder, timeout: 30_000 };
    const child = spawn(program, [...args, bundle], { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const [out, err, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.on("close", resolve)),
    ]);
    const lines = out.trim().split("\n");
    expect(
      lines.filter((line) => !line.startsWith("ok ")),
      err,
    ).toEqual([`done ${CASES}`]);
    expect([lines.length, code]).toEqual([CASES + 1, 0]);
  });
}
