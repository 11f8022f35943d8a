// Writes API.md from the doc comments, by way of the declarations that the compiler emits: TypeScript 7 has no compiler API for a generator.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ENTRIES } from "./entries.ts";

const root = new URL("..", import.meta.url).pathname;

/** The text of API.md. */
export function apiReference() {
  const scratch = mkdtempSync(join(tmpdir(), "conduit-api-"));
  try {
    const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
    spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.json"), "--outDir", scratch], { stdio: "ignore" });
    const sections = ENTRIES.map((entry) => sectionOf(entry, scratch));
    return `# API of @conduit-link/sdk\n\nMade from the doc comments by \`npm run generate\`; [README.md](README.md) shows how to begin.\n\n${sections.join("\n\n")}\n`;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function sectionOf({ name, source }, folder) {
  const file = join(folder, `${source}.d.ts`);
  const text = readFileSync(file, "utf8");
  const passedOn = [...text.matchAll(/^export (type )?\{([^}]*)\} from "([^"]+)";/gm)].flatMap(([, , names, from]) => {
    const declarations = declarationsOf(readFileSync(join(dirname(file), from.replace(/\.ts$/, ".d.ts")), "utf8"));
    const wanted = names.split(",").map((it) => it.trim().replace(/^type /, ""));
    return declarations.filter((it) => wanted.includes(it.name));
  });
  const all = [...passedOn, ...declarationsOf(text)];
  // Functions first: they are what one looks for, and name the types they need.
  const sorted = [...all.filter((it) => !it.isType), ...all.filter((it) => it.isType)];
  return [`## \`@conduit-link/sdk${name}\``, ...sorted.map(entryOf)].join("\n\n");
}

/** The exported declarations of one file, each with the doc comment before it. */
function declarationsOf(text) {
  const start =
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?^export (?:declare )?(?:abstract )?(function|class|const|interface|type) (\w+)/gm;
  return [...text.matchAll(start)].map((match) => {
    const [whole, doc = "", kind, name] = match;
    const begin = match.index + whole.length - whole.slice(whole.lastIndexOf("export ")).length;
    const code = text.slice(begin, endOf(text, begin)).replace(/^export (declare )?/, "");
    return { name, doc: prose(doc), code, isType: kind === "interface" || kind === "type" };
  });
}

/** Where the declaration that begins at `from` ends: after its `;`, or after the brace that closes its body. */
function endOf(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("/*", at)) at = text.indexOf("*/", at) + 1;
    else if ("{([".includes(text[at])) depth++;
    else if ("})]".includes(text[at])) depth--;
    if (depth === 0 && (text[at] === ";" || (text[at] === "}" && text[at + 1] === "\n"))) return at + 1;
  }
  return text.length;
}

/** A doc comment as Markdown. */
function prose(doc) {
  const lines = doc.split("\n").map((line) => line.replace(/^\s*\* ?/, "").trim());
  return lines
    .join("\n")
    .trim()
    .replace(/\{@link (\w+)\}/g, "`$1`");
}

function entryOf({ name, doc, code }) {
  const members = membersOf(code).filter((member) => member.doc !== "");
  const shown = code
    .replace(/^ *\/\*\*(?:(?!\*\/)[\s\S])*@internal[\s\S]*?\*\/\n[^\n]*\n/gm, "")
    .replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, "")
    // How an error is recognised is its guard's business.
    .replace(/^.*\[brand\].*\n/gm, "")
    .replaceAll("    ", "  ");
  const list = members.map((member) => `- \`${member.name}\`: ${member.doc.replace(/\n+/g, " ")}`).join("\n");
  return [`### ${name}`, doc, `\`\`\`ts\n${shown}\n\`\`\``, list].filter((part) => part !== "").join("\n\n");
}

/** The members of a declaration's own level that have a doc comment. */
function membersOf(code) {
  const found = code.matchAll(/^ {4}\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n {4}(?:readonly |static |get )*([\w"-]+)/gm);
  return [...found].filter(([, doc]) => !doc.includes("@internal")).map(([, doc, name]) => ({ name, doc: prose(doc) }));
}
