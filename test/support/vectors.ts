// Other people's test data (RFC examples, Wycheproof, …), read where it lies and never copied into the project.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";

const VECTORS = process.env.CONDUIT_VECTORS ?? fileURLToPath(new URL("../../../shared/vectors", import.meta.url));

/**
 * A `describe` over one folder of the vectors; `body` gets its path. Where the folder is missing, one line says so and the
 * block is skipped; with `CI=true` it fails instead.
 */
export function describeVectors(folder: string, body: (path: string) => void): void {
  const path = join(VECTORS, folder);
  if (existsSync(path)) {
    describe(`vectors: ${folder}`, () => body(path));
    return;
  }
  const why = `vectors: ${folder} was not run: ${path} is missing (CONDUIT_VECTORS names the folder of the vectors)`;
  if (process.env.CI === "true") {
    test(`vectors: ${folder}`, () => {
      throw new Error(why);
    });
  } else {
    console.warn(why);
    describe.skip(`vectors: ${folder}`, () => body(path));
  }
}
