// vitest's global setup: one folder for everything that a run leaves in TMPDIR, removed at its end. (An "exit" listener in
// a test file would not do: vitest ends its workers without one.)
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Points TMPDIR of the workers, and of what they start, to the folder. */
export function setup(): () => void {
  const { TMPDIR } = process.env;
  const folder = mkdtempSync(join(tmpdir(), "conduit-run-"));
  // PostgreSQL runs as nobody when the tests run as root: it must pass through, not look around.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  return () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}
