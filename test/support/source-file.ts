// Reads source files well enough for test/architecture.test.ts: their imports, and their code without comments.
// Expressions instead of a parser, because TypeScript 7 has no compiler API.
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Import {
  /** A path from the root of the repository, a package's name with its subpath, or `node:…`. */
  readonly target: string;
  /** `import type` or `export type`: gone at run time. */
  readonly isTypeOnly: boolean;
  /** Imported values as named there, without types; empty for `import "x"`, `import x` and `import * as x`. */
  readonly names: readonly string[];
}

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly lineCount: number;
  /** Without comments. */
  readonly code: string;
  /** Without comments and quoted text; what stands between backticks stays, since it may hold code. */
  readonly bareCode: string;
  readonly imports: readonly Import[];
}

/** Our workspaces as they are imported, and where their files are. */
const WORKSPACES = [
  ["@conduit-link/proto/", "proto/gen/"],
  ["@conduit-link/sdk/", "sdk/src/"],
  ["@conduit-link/sdk", "sdk/src/index.ts"],
] as const;

const STRING = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/;
/** A slash begins an expression only where no value can stand before it. */
const REGEXP = /(?<=(?:[(,=:[!&|?{};]|return|^)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//;
const TOKEN = new RegExp(`(?<kept>${STRING.source}|${REGEXP.source})|${COMMENT.source}`, "gm");

const FROM = /^\s*(?:import|export)\s+(?<type>type\s+)?(?:(?<clause>[\w$*{}\s,]+?)\s*from\s*)?"(?<specifier>[^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"(?<specifier>[^"]+)"/g;

/** All files that match, without dependencies and what is built; sorted by path. */
export function readSourceFiles(...patterns: string[]): SourceFile[] {
  const paths = globSync(patterns, { cwd: ROOT, exclude: (path) => /(^|\/)(node_modules|dist)(\/|$)/.test(path) });
  return paths.sort().map(readSourceFile);
}

/** Whether `path` is `folder` itself or lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** The files that import one another in a circle, as the first circle found; `undefined` when there is none. */
export function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const visit = (file: SourceFile, trail: string[]): string[] | undefined => {
    if (finished.has(file.path)) return undefined;
    if (trail.includes(file.path)) return [...trail.slice(trail.indexOf(file.path)), file.path];
    for (const { target } of file.imports) {
      const next = byPath.get(target);
      const cycle = next && visit(next, [...trail, file.path]);
      if (cycle) return cycle;
    }
    finished.add(file.path);
    return undefined;
  };
  for (const file of files) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function readSourceFile(path: string): SourceFile {
  const text = readFileSync(posix.join(ROOT, path), "utf8");
  return parseSource(path, text);
}

/** Exported for its own test. */
export function parseSource(path: string, text: string): SourceFile {
  const code = text.replace(TOKEN, (_whole, kept: string | undefined) => kept ?? "");
  const bareCode = text.replace(TOKEN, (_whole, kept = "") => (kept === "" || kept.startsWith("`") ? kept : '""'));
  return { path, text, code, bareCode, lineCount: text.split("\n").length - 1, imports: parseImports(path, code) };
}

function parseImports(path: string, code: string): Import[] {
  const found: Import[] = [];
  for (const { groups } of code.matchAll(FROM)) {
    const target = resolve(path, groups?.specifier ?? "");
    found.push({ target, isTypeOnly: groups?.type !== undefined, names: valuesIn(groups?.clause ?? "") });
  }
  for (const { groups } of code.matchAll(DYNAMIC))
    found.push({ target: resolve(path, groups?.specifier ?? ""), isTypeOnly: false, names: [] });
  return found;
}

/** `{ a, type B, c as d }` → a, c */
function valuesIn(clause: string): string[] {
  const parts = /\{(?<inside>[^}]*)\}/.exec(clause)?.groups?.inside?.split(",") ?? [];
  return parts.map((part) => part.trim().replace(/\s+as\s.*$/, "")).filter((name) => /^[\w$]+$/.test(name));
}

function resolve(path: string, specifier: string): string {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(path), specifier);
  const [name, folder] = WORKSPACES.find(([prefix]) => specifier.startsWith(prefix)) ?? [];
  return name === undefined ? specifier : folder + specifier.slice(name.length);
}
