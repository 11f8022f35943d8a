#!/usr/bin/env -S node --conditions=conduit-source
// The `conduit` command. Plain JavaScript, so that a Node too old to run the rest can still say so.
const [major, minor, patch] = process.versions.node.split(".").map(Number);
const isAtLeast = (m, p) => minor > m || (minor === m && patch >= p);
// CVE-2026-58044: older releases drop header lines after the cap, Content-Length among them (request smuggling).
const supported =
  (major === 22 && isAtLeast(23, 2)) || (major === 24 && isAtLeast(18, 1)) || (major === 26 && isAtLeast(5, 1));
if (!supported) {
  console.error(
    `conduit: Node ${process.versions.node} is not supported: it needs >=22.23.2 <23, >=24.18.1 <25 or >=26.5.1 (CVE-2026-58044).\n` +
      "From a clone, `npm start` and `npx --no-install conduit` bring their own Node.",
  );
  process.exit(3);
}
const { main } = await import("../src/main.ts");
await main(process.argv.slice(2));
