// The core's size gate: what an app's bundler makes of the published build, minified and gzipped.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const limits = [
  // [entry, bytes min+gzip, why]
  ["dist/index.js", 5000, "promise P7: between a bare OAuth helper (3.8 kB) and ky 1 (5.0 kB)"],
];

let short = false;
for (const [entry, limit, why] of limits) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`../${entry}`, import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
  });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(
    `${entry}: ${outputFiles[0].contents.length} bytes min, ${bytes} bytes min+gzip (limit ${limit}; ${why})`,
  );
  short ||= bytes > limit;
}
process.exitCode = short ? 1 : 0;
