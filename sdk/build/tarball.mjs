// The packed package in an empty folder: it installs without any dependency, every entry loads by `import` and by `require`, gives the same names
// both ways, and its types are found by strict consumers of both kinds.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ENTRIES } from "./entries.ts";

const root = new URL("..", import.meta.url).pathname;
const { resolve } = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "conduit-tarball-"));
const npm = (args, cwd) => execFileSync("npm", args, { cwd, encoding: "utf8", shell: process.platform === "win32" });
/** Not there on the machines that check this: these two are loaded on phones only. */
const loadable = ENTRIES.filter(({ peer }) => peer !== "expo-secure-store");
/** This Node, and whatever else is there: the machine's own Node (20 is the oldest promised), Bun. */
const runtimes = [
  [`Node ${process.version}`, process.execPath],
  ["the machine's Node", "/usr/bin/node"],
  ["Bun", join(root, "../node_modules/@oven/bun-linux-x64/bin/bun"), "run"],
].filter(([, program]) => program === process.execPath || isUsable(program));
const nameOf = ({ name }) => `@conduit-link/sdk${name}`;

const asModule = `
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const names = ${JSON.stringify(loadable.map(nameOf))};
for (const name of names) {
  const [esm, cjs] = [Object.keys(await import(name)), Object.keys(require(name))].map((keys) =>
    keys.filter((key) => key !== "default" && key !== "module.exports" && key !== "__esModule").sort().join());
  if (esm === "" || esm !== cjs) throw new Error(\`\${name}: import gives \${esm}, require gives \${cjs}\`);
}
const { createConduit, isConduitError } = await import("@conduit-link/sdk");
const { kyOptions } = require("@conduit-link/sdk/ky");
const { createFakeProxy, makeToken } = require("@conduit-link/sdk/testing");
const proxy = createFakeProxy();
const conduit = createConduit({ ...proxy, getToken: () => makeToken(), platform: { fetch: proxy.fetch } });
const { status } = await conduit.fetchWithAuth("/x");
const refusal = await conduit.fetchWithAuth("https://elsewhere.example/").catch((error) => error);
const isSeenByOtherCopy = kyOptions(conduit).retry.shouldRetry({ error: refusal }) === false;
conduit.dispose();
if (status !== 200 || !isConduitError(refusal, "origin_not_allowed") || !isSeenByOtherCopy) throw new Error("does not work");
`;
const consumer = `${loadable.map((entry, index) => `import * as e${index} from "${nameOf(entry)}";`).join("\n")}
export const all = [${loadable.map((_, index) => `e${index}`)}];
export const wrong: number = e0.createConduit;
`;

try {
  const [{ filename }] = JSON.parse(npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root));
  const app = join(folder, "app");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), '{ "name": "app", "private": true }');
  // No registry: there is nothing to fetch.
  npm(["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", join(folder, filename)], app);
  if (existsSync(join(app, "node_modules/react"))) throw new Error("an optional peer was installed");
  for (const peer of ["react", "@types/react", "csstype", "@connectrpc", "@bufbuild", "@types/node", "undici-types"]) {
    const target = join(root, "../node_modules", peer);
    mkdirSync(dirname(join(app, "node_modules", peer)), { recursive: true });
    symlinkSync(target, join(app, "node_modules", peer), "junction");
  }
  writeFileSync(join(app, "main.mjs"), asModule);
  for (const [, program, ...args] of runtimes)
    execFileSync(program, [...args, "main.mjs"], { cwd: app, stdio: ["ignore", "inherit", "inherit"] });
  const tsc = join(dirname(resolve("typescript/package.json")), "bin/tsc");
  for (const kind of ["mts", "cts"]) {
    writeFileSync(join(app, `consumer.${kind}`), consumer);
    // A page, a worker, and a back end: each has globals of its own, and none the types of another.
    for (const [lib, types] of [
      ["es2020,dom", ""],
      ["es2022,webworker", ""],
      ["es2022", "node"],
    ]) {
      const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext"];
      const errors = typeErrors([tsc, ...options, "--lib", lib, "--types", types, `consumer.${kind}`], app);
      if (!/^consumer\.[mc]ts\(\d+,14\): error TS2322: [^\n]*\n?$/.test(errors))
        throw new Error(`consumer.${kind}, lib ${lib}, types ${types}: ${errors}`);
    }
  }
  const where = runtimes.map(([name]) => name).join(", ");
  console.log(
    `tarball: ${loadable.length} entries load by import and require (${where}), types found by .mts and .cts in pages, workers and Node`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What the compiler says of the package; one error is there on purpose, so that silence cannot pass for success. */
function typeErrors(args, cwd) {
  try {
    return execFileSync(process.execPath, args, { cwd, encoding: "utf8" });
  } catch (error) {
    // Connect's own types need those of pages, in Node too.
    return error.stdout.replace(/^.*node_modules\/@connectrpc\/.*\n/gm, "");
  }
}

function isUsable(program) {
  if (!existsSync(program)) return false;
  if (!program.endsWith("/node")) return process.platform === "linux" && process.arch === "x64";
  return Number(execFileSync(program, ["-p", "process.versions.node.split('.')[0]"])) >= 20;
}
