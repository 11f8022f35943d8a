// The rules of the house that a reader cannot see in one file. Every row carries its reason; a row about a folder that is
// gone fails too, so that no rule stays behind without a subject. To allow something new, change a row and its reason.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findCycle, type Import, isWithin, ROOT, readSourceFiles, type SourceFile } from "./support/source-file.ts";

const SERVER = "server/src";
const at = (...names: string[]) => names.map((name) => `${SERVER}/${name}`);

/** Named below and not there yet. A row here fails as soon as the folder exists: take it out then. */
const NOT_YET: readonly string[] = [
  ...at("policy", "sealing", "outbound", "jwt", "judge", "store", "wire", "config-log", "control", "proxy"),
  ...at("proxy/config", "proxy/usage", "listen", "run", "cli", "settings.ts", "main.ts"),
  "server/dashboard",
];

/** From where, what besides itself may be imported (folders, files, packages, `node:*`), and why. The longest match rules. */
const MAY_IMPORT: readonly (readonly [from: string, may: readonly string[], why: string])[] = [
  ["proto/gen", ["@bufbuild/protobuf", "@bufbuild/protovalidate"], "it is output: nothing of ours"],
  [`${SERVER}/model`, ["node:crypto", "node:zlib"], "nouns are readable alone; hashes and CRC-32 only"],
  [`${SERVER}/policy`, [...at("model"), "node:crypto", "ipaddr.js"], "decisions are pure and readable alone"],
  [`${SERVER}/sealing`, [...at("model"), "node:crypto"], "ciphertext does not know where it lies"],
  [`${SERVER}/outbound`, [...at("model"), "undici", "ipaddr.js", "node:*"], "one door out"],
  [
    `${SERVER}/jwt`,
    [...at("model", "outbound"), "jose", "node:crypto"],
    "algorithms are pinned where nothing is looked up",
  ],
  [
    `${SERVER}/judge`,
    [...at("model", "policy", "jwt"), "node:crypto", "ipaddr.js"],
    "the verdict is a function of plain values: no sockets, no stores",
  ],
  [
    `${SERVER}/store`,
    [...at("model"), "drizzle-orm", "postgres", "@electric-sql/pglite", "node:*"],
    "no sealing: plaintext never reaches SQL; no proto/gen: API versions must not move tables",
  ],
  [
    `${SERVER}/wire`,
    [...at("model"), "proto/gen", "@bufbuild/protobuf"],
    "one conversion between nouns and messages, shared by both planes",
  ],
  [
    `${SERVER}/config-log`,
    [...at("model", "store", "sealing", "wire"), "proto/gen", "@bufbuild/protobuf", "node:*"],
    "no proxy, no control: it only says what changed",
  ],
  [
    `${SERVER}/control`,
    [
      ...at("model", "policy", "judge", "store", "sealing", "jwt", "outbound", "config-log", "wire"),
      "proto/gen",
      "@bufbuild/protobuf",
      "@bufbuild/protovalidate",
      "@connectrpc/connect",
      "@connectrpc/validate",
      "node:*",
    ],
    "no proxy: one plane down must not mean the other down",
  ],
  [
    `${SERVER}/proxy`,
    [...at("model", "policy", "judge", "jwt", "sealing", "outbound"), "ipaddr.js", "prom-client", "node:*"],
    "no store, no control: the data plane never waits for a database",
  ],
  ...["config", "usage"].map(
    (folder) =>
      [
        `${SERVER}/proxy/${folder}`,
        [
          ...at("model", "policy", "judge", "jwt", "sealing", "outbound", "wire", `proxy`),
          "proto/gen",
          "@bufbuild/protobuf",
          "@connectrpc/connect",
          "@grpc/grpc-js",
          "node:*",
        ],
        "the only parts of the proxy that speak the API",
      ] as const,
  ),
  [
    `${SERVER}/listen`,
    [
      ...at("model"),
      "@grpc/grpc-js",
      "@grpc/reflection",
      "@connectrpc/*",
      "@bufbuild/protobuf",
      "prom-client",
      "node:*",
    ],
    "sockets only: handlers are given to it by run",
  ],
  [
    `${SERVER}/cli`,
    [...at("model", "settings.ts"), "sdk/src/server", "proto/gen", "commander", "@bufbuild/protobuf", "node:*"],
    "a client of the API like any other",
  ],
  [
    "server/dashboard",
    ["proto/gen", "@bufbuild/*", "@connectrpc/*", "@tanstack/*", "react", "react-dom", "uplot"],
    "a client",
  ],
  ["sdk/src", [], "zero dependencies, no protobuf, no Node: it runs everywhere"],
  ["sdk/src/server", ["sdk/src", "jose"], "jose is an optional peer of the helpers that sign and verify"],
];

/** What may be imported from few places only. */
const IMPORTED_ONLY_BY: readonly (readonly [target: string, by: readonly string[], why: string])[] = [
  [`${SERVER}/run`, [`${SERVER}/main.ts`], "the one place where the planes meet"],
  [`${SERVER}/wire`, at("control", "config-log", "proxy/config", "run"), "messages stay at the edges"],
  [`${SERVER}/settings.ts`, at("main.ts", "run", "cli"), "settings are passed on as values"],
];

/** These may be imported as types everywhere in the server: the effect itself is passed as an argument. */
const EFFECT_TYPES = at("clock.ts", "random.ts", "log.ts", "settings.ts");

/** Stages of the proxy (design 8): only the pipeline knows more than one. */
const STAGES = [
  ...["accept", "route", "cors", "link-token", "user-token", "revocation", "authorize", "limit", "attach", "forward"],
  ...["respond", "record"],
];

/** Where an effect may be had: what it looks like in code, where, why. */
const EFFECTS: readonly (readonly [what: string, pattern: RegExp, where: readonly string[], why: string])[] = [
  ["environment", /\bprocess\.env\b|\bimport\.meta\.env\b/, at("settings.ts"), "one list of what can be set"],
  [
    "printing",
    /\bconsole\.|\bprocess\.std(out|err)\b/,
    [...at("log.ts", "cli"), "server/bin"],
    "one log; stdout is for results",
  ],
  ["clock", /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, at("clock.ts"), "tests set the clock"],
  ["random", /\brandomBytes\(|\brandomUUID\(|\bgetRandomValues\(|\bMath\.random\(/, at("random.ts"), "tests repeat it"],
  ["fetch", /(?<![.\w])fetch\(/, at("outbound", "cli"), "one door out"],
  ["opening secrets", /\.reveal\(/, at("sealing"), "a secret opens only where it is used for its purpose"],
];

/** Modules that open sockets, and who may. `isIP` and its like open none. */
const NETWORK_MODULES = [
  "node:http",
  "node:https",
  "node:http2",
  "node:net",
  "node:tls",
  "node:dns",
  "undici",
  "@grpc/grpc-js",
];
const NETWORK_USERS = at("listen", "outbound", "proxy/config", "cli");
const HARMLESS_NAMES = ["isIP", "isIPv4", "isIPv6", "BlockList", "SocketAddress", "STATUS_CODES", "validateHeaderName"];

/** A newcomer's questions: the file list alone should have told where to look. */
const QUESTIONS: readonly (readonly [question: string, path: string, symbol: string])[] = [
  ["What does a link consist of?", `${SERVER}/model/link.ts`, "Link"],
  ["Which error codes are there, and what status has each?", `${SERVER}/model/errors.ts`, "ERRORS"],
  ["How is a link token made and checked for typing errors?", `${SERVER}/model/token-string.ts`, "generateToken"],
  ["Why does a secret never show up in a log?", `${SERVER}/model/secret-text.ts`, "SecretText"],
  ["Where does the time come from?", `${SERVER}/clock.ts`, "systemClock"],
];

const serverFiles = readSourceFiles("server/src/**/*.ts", "server/bin/*.mjs");
const dashboardFiles = readSourceFiles("server/dashboard/**/*.{ts,tsx}");
const sdkFiles = readSourceFiles("sdk/src/**/*.{ts,tsx}");
const generatedFiles = readSourceFiles("proto/gen/**/*.ts");
const ourFiles = [...serverFiles, ...dashboardFiles, ...sdkFiles];

const isIn = (path: string, folders: readonly string[]) => folders.some((folder) => isWithin(path, folder));

/** `x` matches the package x with its subpaths and the folder x, `x*` whatever begins with x. */
function isMatch(target: string, pattern: string): boolean {
  return pattern.endsWith("*") ? target.startsWith(pattern.slice(0, -1)) : isWithin(target, pattern);
}

function isEffectType(imported: Import): boolean {
  return imported.isTypeOnly && EFFECT_TYPES.includes(imported.target);
}

const ruleOf = (path: string) =>
  MAY_IMPORT.filter(([from]) => isWithin(path, from)).sort(([a], [b]) => b.length - a.length)[0];

function forbiddenImports(file: SourceFile): string[] {
  const rule = ruleOf(file.path);
  if (!rule) return [];
  const [from, may, why] = rule;
  return file.imports
    .filter((it) => ![from, ...may].some((pattern) => isMatch(it.target, pattern)) && !isEffectType(it))
    .map((it) => `${file.path} imports ${it.target}: not allowed in ${from} (${why})`);
}

/** The stage, or the service's folder, that a file belongs to. */
function siblingOf(path: string): string | undefined {
  const inControl = /^server\/src\/control\/(?<name>[^/]+)\//.exec(path)?.groups?.name;
  if (inControl !== undefined) return `control/${inControl}`;
  const inProxy = /^server\/src\/proxy\/(?<name>[^/.]+)/.exec(path)?.groups?.name;
  return inProxy !== undefined && STAGES.includes(inProxy) ? `proxy/${inProxy}` : undefined;
}

function siblingImports(file: SourceFile): string[] {
  const own = siblingOf(file.path);
  if (own === undefined) return [];
  const others = file.imports.filter(({ target }) => ![undefined, own].includes(siblingOf(target)));
  return others.map((it) => `${file.path} imports its sibling ${it.target}: what they share belongs one level down`);
}

describe("imports", () => {
  test("the rules name what is there", () => {
    const rules = [...MAY_IMPORT, ...IMPORTED_ONLY_BY].flatMap(([folder, others]) => [folder, ...others]);
    const named = [...rules, ...EFFECTS.flatMap(([, , where]) => where), ...NETWORK_USERS, ...EFFECT_TYPES];
    const paths = [...new Set(named)].filter((path) => /^(server|sdk|proto)\//.test(path));
    const isThere = (path: string) => existsSync(join(ROOT, path));
    expect({
      gone: paths.filter((path) => !isThere(path) && !NOT_YET.includes(path)),
      toBeTakenOutOfNotYet: NOT_YET.filter(isThere),
    }).toEqual({ gone: [], toBeTakenOutOfNotYet: [] });
  });

  test("each folder imports what its row allows", () => {
    expect([...ourFiles, ...generatedFiles].flatMap(forbiddenImports)).toEqual([]);
  });

  test("no stage knows another stage, no service another service", () => {
    expect(serverFiles.flatMap(siblingImports)).toEqual([]);
  });

  test.each(IMPORTED_ONLY_BY)("%s is imported only by %j: %s", (target, by) => {
    const wrong = serverFiles.filter(
      (file) =>
        !isIn(file.path, [target, ...by]) &&
        file.imports.some((it) => isWithin(it.target, target) && !isEffectType(it)),
    );
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  test("no circles", () => {
    expect(findCycle(ourFiles)).toBeUndefined();
  });
});

describe("effects have addresses", () => {
  test.each(EFFECTS)("%s %s only in %j: %s", (_what, pattern, where) => {
    const wrong = serverFiles.filter((file) => !isIn(file.path, where) && pattern.test(file.bareCode));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  test(`network only in ${NETWORK_USERS.join(", ")}`, () => {
    const opens = (it: Import) =>
      NETWORK_MODULES.some((module) => isMatch(it.target, module)) &&
      !it.isTypeOnly &&
      !(it.names.length > 0 && it.names.every((name) => HARMLESS_NAMES.includes(name)));
    const wrong = serverFiles.filter((file) => !isIn(file.path, NETWORK_USERS) && file.imports.some(opens));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });
});

describe("a newcomer asks", () => {
  test.each(QUESTIONS)("%s → %s: %s", (_question, path, symbol) => {
    const file = [...ourFiles, ...generatedFiles].find((it) => it.path === path);
    expect(file, "the file is gone").toBeDefined();
    expect(file?.code).toMatch(new RegExp(`\\b(function|class|const|interface|type) ${symbol}\\b`));
  });
});
