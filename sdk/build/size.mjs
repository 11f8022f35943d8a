// The size gate: what an app's bundler makes of the published build, minified and gzipped, of each entry beside the core.
import { measureSizes } from "./bundle-size.ts";

console.log("entry       min  min+gzip  limit  (beside the core and the peer)");
for (const { name, min, gzip, limit, why } of await measureSizes(new URL("..", import.meta.url).pathname)) {
  const line = [(name || ".").padEnd(9), `${min}`.padStart(5), `${gzip}`.padStart(9), `${limit}`.padStart(6)].join(" ");
  console.log(`${line}  ${gzip > limit ? "TOO LARGE" : "ok"} (${why})`);
  if (gzip > limit) process.exitCode = 1;
}
