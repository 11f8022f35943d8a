// As React Native's bundler does it: CommonJS of the package, its own Babel preset, Hermes.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ROOT } from "../support/source-file.ts";
import { bundleSuite, publishedSdk } from "./sdk-build.ts";

const require = createRequire(join(ROOT, "sdk/package.json"));
/** Not imported: it brings no types. */
const { transformAsync } = require("@babel/core") as {
  transformAsync(code: string, options: object): Promise<{ code: string } | null>;
};

/** `linux64-bin` and its like: where both Hermes packages keep their programs. */
export const HERMES_FOLDER = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[
  process.platform as "linux"
];

/** Hermes' compiler of today, which app builds run. */
export const hermesc = join(
  dirname(require.resolve("hermes-compiler/package.json")),
  "hermesc",
  HERMES_FOLDER,
  "hermesc",
);

/** The code as the preset leaves it; modules are not its business here. */
export async function transformForReactNative(code: string): Promise<string> {
  const options = {
    disableImportExportTransform: true,
    enableBabelRuntime: false,
    unstable_transformProfile: "default",
  };
  const presets = [[require.resolve("@react-native/babel-preset"), options]];
  const transformed = await transformAsync(code, {
    presets,
    babelrc: false,
    configFile: false,
    filename: "app.js",
    compact: false,
  });
  return transformed?.code ?? "";
}

/** The suite as a script for the VM, of a build that `buildSdk` made in `folder`. */
export async function bundleForHermes(folder: string): Promise<string> {
  const bundle = await bundleSuite(folder, "in-hermes", { format: "iife", plugins: [publishedSdk(folder, "cjs")] });
  const script = join(folder, "in-hermes.js");
  await writeFile(script, await transformForReactNative(await readFile(bundle, "utf8")));
  return script;
}
