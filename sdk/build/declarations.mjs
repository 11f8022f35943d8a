// The .d.ts files by tsc, and a .d.cts twin of each for CommonJS consumers (a .d.ts beside a .cjs would describe it as ESM).
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
const { status } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.json")], { stdio: "inherit" });
if (status !== 0) process.exit(1);

// rewriteRelativeImportExtensions leaves `.ts` specifiers in declarations as they are.
const relative = /((?:from|import)\s*\(?\s*")(\.[^"]*)\.[jt]s"/g;
const dist = join(root, "dist");
for (const name of readdirSync(dist, { recursive: true })) {
  if (!name.endsWith(".d.ts")) continue;
  const file = join(dist, name);
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(relative, '$1$2.js"'));
  writeFileSync(file.replace(/\.d\.ts$/, ".d.cts"), text.replace(relative, '$1$2.cjs"'));
}
