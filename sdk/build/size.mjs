// The size gate: what an app's bundler makes of the published build, minified and gzipped, of each entry beside the core.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { built, ENTRIES, PEERS } from "./entries.ts";

const root = new URL("..", import.meta.url).pathname;

/** Bytes min and min+gzip of an app that uses everything in these entries. */
async function measure(entries) {
  const contents = entries.map((entry) => `export * from "./${built(entry, "js")}";`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2020",
    platform: "browser",
    external: PEERS,
    write: false,
    // Chunks import one another for their order only; the package says that none has side effects.
    logOverride: { "ignored-bare-import": "silent" },
  });
  const [{ contents: bytes }] = outputFiles;
  return { min: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}

const [core, ...others] = ENTRIES;
const base = await measure([core]);
const rows = [{ ...core, ...base }];
for (const entry of others) {
  const both = await measure([core, entry]);
  rows.push({ ...entry, min: both.min - base.min, gzip: both.gzip - base.gzip });
}
console.log("entry       min  min+gzip  limit  (beside the core and the peer)");
for (const { name, min, gzip, limit, why } of rows) {
  const line = [(name || ".").padEnd(9), `${min}`.padStart(5), `${gzip}`.padStart(9), `${limit}`.padStart(6)].join(" ");
  console.log(`${line}  ${gzip > limit ? "TOO LARGE" : "ok"} (${why})`);
  if (gzip > limit) process.exitCode = 1;
}
