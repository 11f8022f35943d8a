// Programs and packages that few tests need and that are too heavy for every install (978 MB of runtimes): fetched from npm when asked for, in
// the exact versions of a manifest in test/programs, into a folder named after that manifest.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./source-file.ts";

/** The runtimes' packages are of one platform; elsewhere their tests are skipped, as those of Deno and Bun are. */
export const hasRuntimes: boolean = process.platform === "linux" && process.arch === "x64";

const CACHE = join(ROOT, "node_modules/.cache/on-demand");

/**
 * The `node_modules` of the packages of `test/programs/<name>/package.json`, installed at the first call (runtimes: 10 s). No install script runs.
 * @throws Error when npm fails, which never means that a test may be left out
 */
export function installOnDemand(name: "authjs" | "runtimes" | "peers"): string {
  const manifest = join(ROOT, "test/programs", name, "package.json");
  const hash = createHash("sha256").update(readFileSync(manifest)).digest("hex").slice(0, 12);
  const folder = join(CACHE, `${name}-${hash}`);
  if (!existsSync(folder)) install(manifest, folder);
  return join(folder, "node_modules");
}

/** Installed beside and renamed: whoever finds the folder finds all of it. */
function install(manifest: string, folder: string): void {
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, "installing-"));
  copyFileSync(manifest, join(scratch, "package.json"));
  const args = ["install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = spawnSync("npm", args, { cwd: scratch, encoding: "utf8", shell: process.platform === "win32" });
  if (npm.status !== 0) {
    rmSync(scratch, { recursive: true, force: true });
    throw new Error(`npm install of ${manifest} failed: ${npm.stderr}`);
  }
  try {
    renameSync(scratch, folder);
  } catch (cause) {
    // Another test file was faster.
    rmSync(scratch, { recursive: true, force: true });
    if (!existsSync(folder)) throw cause;
  }
}
