import { defineConfig } from "tsup";

// Declarations come from build/declarations.mjs: TypeScript 7 has no compiler API for tsup's own.
const config = defineConfig({
  entry: { index: "src/index.ts", "server/index": "src/server/index.ts" },
  format: ["esm", "cjs"],
  // Class fields and #private are the newest syntax in the output; Metro's preset lowers them where Hermes needs it.
  target: "es2022",
  platform: "neutral",
  splitting: false,
  clean: true,
  dts: false,
  outExtension: ({ format }) => ({ js: format === "cjs" ? ".cjs" : ".js" }),
});

// tsup reads the default export; there is no other way to give it a configuration.
export default config;
