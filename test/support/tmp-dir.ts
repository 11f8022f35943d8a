// A folder of one test's own, gone when the test file ends.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder that is removed with everything in it when disposed of. */
export interface TmpDir extends Disposable {
  readonly path: string;
}

/** Makes a new empty folder; `using dir = makeTmpDir()` removes it at the end of the block. */
export function makeTmpDir(prefix = "conduit-test-"): TmpDir {
  const path = mkdtempSync(join(tmpdir(), prefix));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Makes a new empty folder for the running test, removed when that test ends. Returns its path. */
export function tmpDirOfTest(): string {
  const dir = makeTmpDir();
  onTestFinished(() => dir[Symbol.dispose]());
  return dir.path;
}
