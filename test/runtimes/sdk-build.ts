// The SDK as it is published, and the suite bundled with it: what runs is what users get, not the source.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { built, ENTRIES } from "../../sdk/build/entries.ts";
import { ROOT } from "../support/source-file.ts";

/** Builds the published files into a folder of their own, so that it meets no other build. */
export function buildSdk(folder: string): void {
  const require = createRequire(join(ROOT, "sdk/package.json"));
  const tsup = join(dirname(require.resolve("tsup/package.json")), "dist/cli-default.js");
  const args = [tsup, "--silent", "--out-dir", join(folder, "dist")];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: join(ROOT, "sdk"), encoding: "utf8" });
  if (status !== 0) throw new Error(`tsup: ${stderr}`);
}

/** Takes `@conduit-link/sdk…` from a folder that `buildSdk` filled; `extension` as the runtime's export condition would. */
export function publishedSdk(folder: string, extension: "js" | "cjs" = "js"): Plugin {
  return {
    name: "published-sdk",
    setup(builder) {
      builder.onResolve({ filter: /^@conduit-link\/sdk(\/|$)/ }, ({ path }) => {
        const entry = ENTRIES.find(({ name }) => `@conduit-link/sdk${name}` === path);
        return entry ? { path: join(folder, built(entry, extension)) } : { errors: [{ text: `no entry ${path}` }] };
      });
    },
  };
}

/** Bundles a file of this folder with the SDK built into `folder`; answers where it lies. */
export async function bundleSuite(folder: string, entry: string, options: BuildOptions = {}): Promise<string> {
  const outfile = join(folder, `${entry}.mjs`);
  await build({
    entryPoints: [join(ROOT, "test/runtimes", `${entry}.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    plugins: [publishedSdk(folder)],
    logLevel: "error",
    logOverride: { "ignored-bare-import": "silent" },
    ...options,
  });
  return outfile;
}
