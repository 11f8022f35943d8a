// Runs under any Node >= 18, before anything is installed: makes node_modules what package-lock.json says.
// `prod` installs what running needs, `all` the rest too; `stamp` (postinstall) records what an install made.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const STAMP = "node_modules/.conduit-installed";
const mode = process.argv[2];
const lockHash = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
const stampOf = (scope) => `${lockHash} ${scope}`;

/** An `all` install serves both modes; a folder without our Node is half removed. */
function isInstalled() {
  if (!existsSync(STAMP) || !existsSync("node_modules/.bin/node")) return false;
  const stamp = readFileSync(STAMP, "utf8");
  return stamp === stampOf("all") || (mode === "prod" && stamp === stampOf("prod"));
}

function install() {
  const isProd = mode === "prod";
  console.error(
    `conduit: installing ${isProd ? "what running needs (npm ci --omit=dev)" : "everything (npm ci)"}, once …`,
  );
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  // Without a registry npm would wait 76 s before it says so.
  const patience = ["--prefer-offline", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
  const args = ["ci", ...quiet, ...patience, isProd ? "--omit=dev" : "--include=dev"];
  const npm = spawnSync("npm", args, { stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (npm.status !== 0) {
    console.error("conduit: npm ci failed (its message is above); nothing was started");
    process.exit(npm.status ?? 1);
  }
}

/** What is there counts, not what npm was told: NODE_ENV and .npmrc leave out development packages too. */
function stamp() {
  writeFileSync(STAMP, stampOf(existsSync("node_modules/vitest") ? "all" : "prod"));
}

if (mode === "stamp") {
  stamp();
} else if (!isInstalled()) {
  install();
  // npm runs no postinstall where scripts are switched off.
  stamp();
}
