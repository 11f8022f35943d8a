// What may not be in the published files, whoever wrote the dependency that brought it; and that Hermes, which React Native runs on, compiles them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const dist = new URL("../dist/", import.meta.url).pathname;
const files = readdirSync(dist, { recursive: true }).filter((name) => /\.(c?js|d\.c?ts)$/.test(name));
const code = files.filter((name) => /\.c?js$/.test(name));

/** [what, pattern, in which files, why]. Comments count too: the build keeps none that says these. */
const FORBIDDEN = [
  [
    "a Node module",
    /\b(?:from|require\(|import)\s*["'](?:node:|(?:fs|http|crypto|stream|buffer|util|path|url)["'])/,
    code,
    "it runs everywhere",
  ],
  ["process", /\bprocess\s*[.[]/, code, "bundlers would put a polyfill of it into pages"],
  ["Buffer", /\bBuffer\s*[.(]/, code, "bundlers would put a polyfill of it into pages"],
  ["eval", /\beval\s*\(|\bnew Function\b/, code, "pages with a strict content security policy refuse it"],
  ["import()", /\bimport\s*\(/, code, "Hermes refuses to compile it"],
  ["an async generator", /\basync\s*\*|\basync function\s*\*/, code, "Hermes refuses to compile it"],
  ["protobuf", /@bufbuild|protobuf"/, code, "an app must not pay for it"],
  ["a registry", /registry\.(?:npmjs|yarnpkg)|npmmirror|artifactory/i, files, "published files name no host of ours"],
  ["a source path", /(?:from|import\(|require\()\s*["'][^"']*\.ts["']/, files, "src/ is not published"],
];

for (const [what, pattern, where, why] of FORBIDDEN) {
  for (const name of where) {
    const line = readFileSync(join(dist, name), "utf8")
      .split("\n")
      .findIndex((text) => pattern.test(text));
    if (line < 0) continue;
    console.error(`dist/${name}:${line + 1}: ${what}, but ${why}`);
    process.exitCode = 1;
  }
}

const platform = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[process.platform];
const hermesc = join(
  dirname(createRequire(import.meta.url).resolve("hermes-compiler/package.json")),
  "hermesc",
  platform,
  "hermesc",
);
const scratch = mkdtempSync(join(tmpdir(), "conduit-hermes-"));
const scripts = code.filter((name) => name.endsWith(".cjs"));
for (const name of scripts) {
  const args = ["-emit-binary", "-O", "-w", "-out", join(scratch, "out.hbc"), join(dist, name)];
  const { status, stderr, error } = spawnSync(hermesc, args, { encoding: "utf8" });
  if (status === 0) continue;
  console.error(`dist/${name}: Hermes does not compile it\n${error ?? stderr}`);
  process.exitCode = 1;
}
rmSync(scratch, { recursive: true });
if (!process.exitCode)
  console.log(`contents: ${files.length} files without what is forbidden, ${scripts.length} compiled by Hermes`);
