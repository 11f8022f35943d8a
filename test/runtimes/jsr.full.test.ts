// JSR publishes the source itself and refuses what it cannot make documentation and declarations of ("slow types"): its own check, without the
// upload. In a folder of its own: Deno would take the workspaces for packages to publish too.
import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/source-file.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";

const DENO = join(ROOT, "node_modules/@deno/linux-x64-glibc/deno");

test("the SDK's source passes JSR's check, types included", () => {
  const folder = tmpDirOfTest();
  for (const name of ["src", "README.md", "jsr.json"])
    cpSync(join(ROOT, "sdk", name), join(folder, name), { recursive: true });
  const { status, stderr } = spawnSync(DENO, ["publish", "--dry-run", "--allow-dirty"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  expect(stderr).toContain("src/index.ts");
  expect(stderr).not.toContain("expo");
}, 120_000);
