import { fileURLToPath } from "node:url";

// An app of its own needs none of this. Here the packages lie at the top of the repository, and its TypeScript is one that Next.js cannot call.
const root = fileURLToPath(new URL("../../..", import.meta.url));

const config = {
  distDir: "dist",
  turbopack: { root },
  outputFileTracingRoot: root,
  typescript: { ignoreBuildErrors: true },
};

// Next.js reads the default export; there is no other way to give it a configuration.
export default config;
