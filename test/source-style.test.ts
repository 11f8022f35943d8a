// How every file of ours is written: words that do not appear, names, lengths, what lies at the top. The formatter and
// the linter (.biome.json) have their own rules; these are the ones they do not know.
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ROOT, readSourceFiles, type SourceFile } from "./support/source-file.ts";

const ENTRY_POINTS = [
  /^sdk\/src\/index\.ts$/,
  /^sdk\/src\/[^/]+\/index\.ts$/,
  /^sdk\/src\/adapters\/[^/]+\/index\.ts$/,
];
const FORBIDDEN_WORDS = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
/** `TokenManager` is the name the contract gives it. */
const ALLOWED_NAMES = ["token-manager"];
const TOP_FOLDERS = ["proto", "sdk", "server", "test"];
const TOP_FILES = ["README.md", "LICENSE", "CHANGELOG.md", "package.json", "package-lock.json", "tsconfig.json"];
const BUF_FILES = ["buf.gen.yaml", "buf.yaml"];

const LINES_MAX = 350;
/** Files that may be longer, with the reason why they are one thing. */
const LONG_FILES: readonly (readonly [path: string, why: string])[] = [];

const publishedFiles = readSourceFiles("server/{src,bin,dashboard}/**/*.{ts,tsx,mjs}", "sdk/src/**/*.{ts,tsx}");
const allFiles = [
  ...publishedFiles,
  ...readSourceFiles("test/**/*.{ts,tsx}", "sdk/{build,examples}/**/*.{ts,tsx,mjs}", ".ci/*.{ts,mjs}"),
];

describe("words", () => {
  const matching = (files: readonly SourceFile[], isWrong: (file: SourceFile) => boolean) =>
    files.filter(isWrong).map((file) => file.path);

  test("no `any`", () => {
    const any = /\bas any\b|:\s*any\s*[;,)=\]>|&]|<any\b|\bany\[\]/;
    expect(matching(allFiles, (file) => any.test(file.bareCode))).toEqual([]);
  });

  test("no silenced compiler", () => {
    const silenced = new RegExp(`@ts-${"(ignore|nocheck)"}`);
    expect(matching(allFiles, (file) => silenced.test(file.text))).toEqual([]);
  });

  test("nothing is left to do: an issue is the place for it", () => {
    const unfinished = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME"].join("|")})\\b`);
    expect(matching(allFiles, (file) => unfinished.test(file.text))).toEqual([]);
  });

  test("no default exports", () => {
    // Next.js finds pages and routes by their default exports.
    const files = allFiles.filter((file) => !/\.config\.(ts|mjs)$|^sdk\/examples\/(next|authjs)-app\//.test(file.path));
    expect(matching(files, (file) => /^export default\b/m.test(file.bareCode))).toEqual([]);
  });

  test("only the packages' entry points pass on what others export", () => {
    const files = publishedFiles.filter((file) => !ENTRY_POINTS.some((pattern) => pattern.test(file.path)));
    expect(matching(files, (file) => /^export\s[^;=()]*\sfrom\s*"/m.test(file.code))).toEqual([]);
  });
});

describe("files", () => {
  test("the top level is what the design says", () => {
    const shown = readdirSync(ROOT).filter((name) => !name.startsWith("."));
    const known = [...TOP_FOLDERS, ...TOP_FILES, ...BUF_FILES, "node_modules", "coverage"];
    expect(shown.filter((name) => !known.includes(name))).toEqual([]);
  });

  test("names are kebab-case and say what is inside", () => {
    const isGood = (path: string) =>
      path.split("/").every((part) => {
        const name = part.replace(/^\./, "").replace(/(\.full)?(\.test|\.config|\.d)?\.(ts|tsx|mjs|json)$/, "");
        const isSpeaking =
          ALLOWED_NAMES.includes(name) || !name.split("-").some((word) => FORBIDDEN_WORDS.includes(word));
        return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) && isSpeaking;
      });
    // Next.js' own names for what a path holds.
    const plain = (path: string) => path.replace(/\[\.\.\.(\w+)\]/, "$1");
    const names = allFiles.map((file) => plain(file.path)).filter((path) => /\.(ts|tsx|mjs)$/.test(path));
    expect(names.filter((path) => !isGood(path))).toEqual([]);
  });

  test(`no file is longer than ${LINES_MAX} lines`, () => {
    const long = allFiles.filter((file) => file.lineCount > LINES_MAX).map((file) => file.path);
    expect(long.sort()).toEqual(LONG_FILES.map(([path]) => path).sort());
  });
});
