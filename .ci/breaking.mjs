// Compares proto/ with the newest release tag (or the git ref given): what clients were built from must keep working.
// The tag's tree lacks the ignored `.vendor`, without which buf cannot read it, so both are laid out in a scratch folder.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { vendorValidate } from "./vendor-validate.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

function newestTag() {
  const run = spawnSync("git", ["describe", "--tags", "--abbrev=0", "--match", "v*"], { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : undefined;
}

function compareWith(ref) {
  const scratch = mkdtempSync(join(tmpdir(), "conduit-breaking-"));
  try {
    const archive = execFileSync("git", ["archive", ref, "proto"], { maxBuffer: 2 ** 28 });
    execFileSync("tar", ["-x", "-C", scratch], { input: archive });
    vendorValidate("proto/.vendor");
    cpSync("proto/.vendor", join(scratch, "proto/.vendor"), { recursive: true });
    return spawnSync("node_modules/.bin/buf", ["breaking", "proto", "--against", join(scratch, "proto")], {
      stdio: ["ignore", 2, 2],
    }).status;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const ref = process.argv[2] ?? newestTag();
if (ref === undefined) {
  console.error("breaking: no release tag yet, nothing to compare with");
} else {
  const status = compareWith(ref);
  console.error(status === 0 ? `breaking: compatible with ${ref}` : `breaking: not compatible with ${ref} (above)`);
  process.exitCode = status === 0 ? 0 : 1;
}
