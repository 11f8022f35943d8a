// What package.json promises and what the build makes are written in two places; this holds them together. The built package itself is looked
// at by `npm run check:sdk`.
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ENTRIES, exportsOf, PEERS, withoutExports } from "../../sdk/build/entries.ts";
import { ROOT } from "../support/source-file.ts";

const sdk = join(ROOT, "sdk");
const manifest = JSON.parse(readFileSync(join(sdk, "package.json"), "utf8"));

test("every entry is exported, with types for each kind of consumer, and nothing else is", () => {
  const expected = Object.fromEntries(ENTRIES.map((entry) => [`.${entry.name}`, exportsOf(entry)]));
  expect(manifest.exports).toEqual({ ...expected, "./package.json": "./package.json" });
});

test("JSR gets the same entries from source, but for the one whose native modules are on phones only", () => {
  const jsr = JSON.parse(readFileSync(join(sdk, "jsr.json"), "utf8"));
  const entries = ENTRIES.filter(({ name }) => name !== "/expo");
  expect(jsr.exports).toEqual(
    Object.fromEntries(entries.map(({ name, source }) => [`.${name}`, `./src/${source}.ts`])),
  );
  expect([jsr.name, jsr.version, jsr.license]).toEqual([manifest.name, manifest.version, manifest.license]);
});

test("tools that do not read `exports` find the types of every entry too", () => {
  expect(manifest).toMatchObject(withoutExports());
});

test("every condition that names a format comes before `default`, and Metro's before `import`", () => {
  for (const value of Object.values(manifest.exports).filter((it) => typeof it === "object")) {
    expect(Object.keys(value as object)).toEqual(["conduit-source", "react-native", "import", "require", "default"]);
  }
});

test("every entry's source is there, and every adapter and folder with an index is an entry", () => {
  const sources = ENTRIES.map(({ source }) => `src/${source}.ts`);
  expect(sources.filter((source) => !existsSync(join(sdk, source)))).toEqual([]);
  const found = globSync(["src/*/index.ts", "src/index.ts", "src/adapters/*/index.ts", "src/adapters/*.ts"], {
    cwd: sdk,
  });
  expect(found.filter((path) => !path.endsWith(".d.ts") && !sources.includes(path))).toEqual([]);
});

test("nothing is installed with it: no dependencies, and every peer is optional", () => {
  expect([manifest.dependencies, manifest.optionalDependencies]).toEqual([undefined, undefined]);
  expect(Object.keys(manifest.peerDependencies).sort()).toEqual(PEERS);
  expect(manifest.peerDependenciesMeta).toEqual(Object.fromEntries(PEERS.map((peer) => [peer, { optional: true }])));
});

test("the React adapter is a client module where server components are", () => {
  expect(readFileSync(join(sdk, "src/adapters/react.ts"), "utf8")).toMatch(/^"use client";/);
});
