import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { built, ENTRIES, type Entry, PEERS } from "./entries.ts";

/** What one entry adds to an app. */
export interface BundleSize extends Entry {
  /** Bytes minified. */
  readonly min: number;
  /** Bytes minified and gzipped. */
  readonly gzip: number;
}

/** What an app's bundler makes of the build in `<folder>/dist`: the core by itself, each other entry beside it and without its peer. */
export async function measureSizes(folder: string): Promise<BundleSize[]> {
  const [core, ...others] = ENTRIES;
  if (core === undefined) throw new TypeError("no entries");
  const base = await measure(folder, [core]);
  const sizes: BundleSize[] = [{ ...core, ...base }];
  for (const entry of others) {
    const both = await measure(folder, [core, entry]);
    sizes.push({ ...entry, min: both.min - base.min, gzip: both.gzip - base.gzip });
  }
  return sizes;
}

/** Of an app that uses everything in these entries. */
async function measure(folder: string, entries: readonly Entry[]): Promise<{ min: number; gzip: number }> {
  const contents = entries.map((entry) => `export * from "./${built(entry, "js")}";`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2020",
    platform: "browser",
    external: [...PEERS],
    write: false,
    // Chunks import one another for their order only; the package says that none has side effects.
    logOverride: { "ignored-bare-import": "silent" },
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array();
  return { min: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}
