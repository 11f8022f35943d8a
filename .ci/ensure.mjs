// Runs under any Node >= 18, before anything is installed: makes node_modules what package-lock.json says.
// `prod` installs what running needs, `all` the rest too; `stamp` (postinstall) records what an install made.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const STAMP = "node_modules/.conduit-installed";
const mode = process.argv[2];
const lockHash = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
const stampOf = (scope) => `${lockHash} ${scope}`;

/** An `all` install serves both modes; the version of the installed Node tells a half-removed folder from a good one. */
function isInstalled() {
  if (!existsSync(STAMP) || !existsSync("node_modules/.bin/node")) return false;
  const stamp = readFileSync(STAMP, "utf8");
  return stamp === stampOf("all") || (mode === "prod" && stamp === stampOf("prod"));
}

function install() {
  console.error(
    mode === "prod"
      ? "conduit: installing what running needs (npm ci --omit=dev), once …"
      : "conduit: installing all dependencies (npm ci), once …",
  );
  const args = [
    "ci",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    mode === "prod" ? "--omit=dev" : "--include=dev",
  ];
  const npm = spawnSync("npm", args, { stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (npm.status !== 0) {
    console.error("conduit: npm ci failed (its message is above); nothing was started");
    process.exit(npm.status ?? 1);
  }
}

if (mode === "stamp") {
  const omitsDev = (process.env.npm_config_omit ?? "").split(/[\s,]+/).includes("dev");
  mkdirSync("node_modules", { recursive: true });
  writeFileSync(STAMP, stampOf(omitsDev ? "prod" : "all"));
} else if (!isInstalled()) {
  install();
}
