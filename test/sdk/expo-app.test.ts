// The Expo example: right for the compiler, transformed by React Native's own Babel preset with all of the SDK that it imports, and compiled by
// the compiler of Hermes, as a release build does it.
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build, type Plugin, transform } from "esbuild";
import { expect, test } from "vitest";
import { ROOT } from "../support/source-file.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";

const APP = join(ROOT, "sdk/examples/expo-app");
const require = createRequire(join(ROOT, "sdk/package.json"));
const packageOf = (name: string) => dirname(require.resolve(`${name}/package.json`));

/** Not imported: it brings no types. */
const { transformAsync } = require("@babel/core") as {
  transformAsync(code: string, options: object): Promise<{ code: string } | null>;
};

/** What Metro does to each file, but for the modules, which esbuild puts together here. The SDK comes to it as it is published: in ES2020. */
const reactNativePreset: Plugin = {
  name: "react-native-preset",
  setup(builder) {
    const preset = [require.resolve("@react-native/babel-preset"), { disableImportExportTransform: true }];
    const options = { presets: [preset], babelrc: false, configFile: false };
    builder.onLoad({ filter: /\.tsx?$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const isOfApp = path.startsWith(APP);
      const code = isOfApp ? source : (await transform(source, { loader: "ts", target: "es2020" })).code;
      const filename = isOfApp ? path : path.replace(/\.ts$/, ".js");
      const transformed = await transformAsync(code, {
        ...options,
        filename,
        caller: { name: "metro", engine: "hermes" },
      });
      return { contents: transformed?.code ?? "", loader: "js", resolveDir: dirname(path) };
    });
  },
};

test("its types are right", () => {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  expect(spawnSync(process.execPath, [tsc, "-p", APP], { encoding: "utf8" }).stdout).toBe("");
});

test("React Native's preset transforms it, and Hermes compiles it", async () => {
  const bundle = join(tmpDirOfTest(), "app.js");
  await build({
    entryPoints: [join(APP, "app.tsx")],
    outfile: bundle,
    bundle: true,
    format: "cjs",
    conditions: ["conduit-source"],
    external: ["react", "react-native", "expo-secure-store"],
    plugins: [reactNativePreset],
    logLevel: "error",
  });
  const code = await readFile(bundle, "utf8");
  expect(code).toContain("jwt_token");
  const folder = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[process.platform as "linux"];
  const hermesc = join(packageOf("hermes-compiler"), "hermesc", folder, "hermesc");
  const compile = (file: string) =>
    spawnSync(hermesc, ["-emit-binary", "-O", "-w", "-out", `${file}.hbc`, file], { encoding: "utf8" });
  expect(compile(bundle)).toMatchObject({ status: 0 });
  // And it is not one that compiles everything.
  const refused = `${bundle}-refused.js`;
  await writeFile(refused, `${code}\nimport("./later.js");`);
  expect(compile(refused).status).not.toBe(0);
});
