import { defineConfig } from "tsup";
import { ENTRIES, PEERS } from "./build/entries.ts";

// Declarations come from build/declarations.mjs: TypeScript 7 has no compiler API for tsup's own.
const base = defineConfig({
  entry: Object.fromEntries(ENTRIES.map(({ source }) => [source, `src/${source}.ts`])),
  external: PEERS,
  target: "es2020",
  platform: "neutral",
  // Both formats write to dist/ at once: build/clean.mjs empties it before.
  clean: false,
  dts: false,
});

const config = defineConfig([
  // The core is one file, however many entries an app imports.
  { ...base, format: "esm", splitting: true },
  // Not here: tsup would rewrite the newer syntax for it.
  { ...base, format: "cjs", splitting: false, outExtension: () => ({ js: ".cjs" }) },
]);

// tsup reads the default export; there is no other way to give it a configuration.
export default config;
