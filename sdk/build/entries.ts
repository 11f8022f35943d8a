// What the package is made of: one row per entry point. tsup, the size gate, the checks and package.json's `exports` (compared with this by
// test/sdk/package.test.ts) follow it.

/** One entry point. */
export interface Entry {
  /** As in `@conduit-link/sdk<name>`. */
  readonly name: string;
  /** Its file below src/, without `.ts`. */
  readonly source: string;
  /** Bytes min+gzip that an app may pay for it, beside the core and its peer. */
  readonly limit: number;
  readonly why: string;
  /** What must be installed to load it. */
  readonly peer?: string;
}

/** Packages that an app has anyway when it imports the entry: neither bundled nor counted. */
export const PEERS = ["@connectrpc/connect", "axios", "expo-secure-store", "ky", "react", "react-native"];

/** The core comes first. */
export const ENTRIES: readonly Entry[] = [
  { name: "", source: "index", limit: 5000, why: "between a bare OAuth helper (3.8 kB) and ky 1 (5.0 kB)" },
  { name: "/session", source: "session/index", limit: 3000, why: "for apps that keep sessions" },
  { name: "/events", source: "events/index", limit: 2000, why: "a parser and a connection that is made again" },
  { name: "/connect", source: "adapters/connect", limit: 1000, why: "an adapter" },
  { name: "/ky", source: "adapters/ky", limit: 1000, why: "an adapter" },
  { name: "/axios", source: "adapters/axios", limit: 1000, why: "an adapter" },
  { name: "/react", source: "adapters/react", limit: 1000, why: "an adapter", peer: "react" },
  { name: "/expo", source: "adapters/expo", limit: 1000, why: "an adapter", peer: "expo-secure-store" },
  { name: "/next", source: "adapters/next/index", limit: 2000, why: "two features, and in back ends only" },
  { name: "/server", source: "server/index", limit: 6000, why: "in back ends only" },
  { name: "/testing", source: "testing/index", limit: 4000, why: "in tests only" },
];

/** Path of an entry's file in the package. */
export function built({ source }: Entry, extension: "js" | "cjs" | "d.ts" | "d.cts"): string {
  return `dist/${source}.${extension}`;
}

/**
 * The value of an entry in package.json's `exports`. Metro gets CommonJS for `import` and `require` alike, or an app would hold the module twice.
 * `workerd`, `deno`, `browser` and `node` need no rows of their own: every runtime gets the same file. `default` is for tools that say none.
 */
export function exportsOf(entry: Entry): Readonly<Record<string, unknown>> {
  const esm = { types: `./${built(entry, "d.ts")}`, default: `./${built(entry, "js")}` };
  const cjs = { types: `./${built(entry, "d.cts")}`, default: `./${built(entry, "cjs")}` };
  return { "conduit-source": `./src/${entry.source}.ts`, "react-native": cjs, import: esm, require: cjs, default: esm };
}

/**
 * The same for tools that do not read `exports`: package.json's `main`, `types` and `typesVersions`. TypeScript resolves so by default where it
 * makes CommonJS (up to version 5); there Node itself does read `exports`.
 */
export function withoutExports(): Readonly<Record<string, unknown>> {
  const [core, ...others] = ENTRIES as readonly [Entry, ...Entry[]];
  const folders = others.map((entry) => [entry.name.slice(1), [`./${built(entry, "d.cts")}`]]);
  return {
    main: `./${built(core, "cjs")}`,
    types: `./${built(core, "d.cts")}`,
    typesVersions: { "*": Object.fromEntries(folders) },
  };
}
