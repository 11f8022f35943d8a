// The rules of the house that a reader cannot see in one file. Every row carries its reason; a row about a folder that is
// gone fails too, so that no rule stays behind without a subject. To allow something new, change a row and its reason.
import { describe, expect, test } from "vitest";
import { findCycle, type Import, isWithin, readSourceFiles, type SourceFile } from "./support/source-file.ts";

const SERVER = "server/src";
const at = (...names: string[]) => names.map((name) => `${SERVER}/${name}`);

/** From where, what besides itself may be imported (folders, files, packages, `node:*`), and why. The longest match rules. */
const MAY_IMPORT: readonly (readonly [from: string, may: readonly string[], why: string])[] = [
  ["proto/gen", ["@bufbuild/protobuf", "@bufbuild/protovalidate"], "it is output: nothing of ours"],
  [`${SERVER}/model`, ["node:crypto", "node:zlib"], "nouns are readable alone; hashes and CRC-32 only"],
  [
    `${SERVER}/policy`,
    [...at("model"), "node:crypto", "ipaddr.js", "@zxcvbn-ts/*"],
    "decisions are pure and readable alone; zxcvbn is a function of its text",
  ],
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
      "proto/gen/grpc",
      "proto/gen/google",
      "@grpc/grpc-js",
      "@grpc/reflection",
      "@connectrpc/*",
      "@bufbuild/protobuf",
      "prom-client",
      "node:*",
    ],
    "sockets only: handlers are given to it by run; of messages only the standard ones, health and details of errors",
  ],
  [
    `${SERVER}/cli`,
    [...at("model", "settings.ts"), "sdk/src/server", "proto/gen", "commander", "@bufbuild/protobuf", "node:*"],
    "a client of the API like any other",
  ],
  [
    "server/dashboard",
    ["proto/gen", "sdk/src", "@bufbuild/*", "@connectrpc/*", "@tanstack/*", "react", "react-dom", "uplot"],
    "a client of the API and of the SDK like any other",
  ],
  ["sdk/src", [], "zero dependencies, no protobuf, no Node: it runs everywhere"],
  ["sdk/src/server", ["sdk/src"], "no dependencies: WebCrypto signs and verifies"],
  ["sdk/src/session", ["sdk/src"], "no dependencies: stores, locks and channels are given or the runtime's own"],
  ["sdk/src/adapters/connect.ts", ["sdk/src", "@connectrpc/connect"], "an adapter knows its peer alone"],
  ["sdk/src/adapters/react.ts", ["sdk/src", "react"], "an adapter knows its peer alone"],
  ["sdk/src/adapters/expo.ts", ["sdk/src", "expo-secure-store", "react-native"], "an adapter knows its peer alone"],
];

/** What may be imported from few places only. */
const IMPORTED_ONLY_BY: readonly (readonly [target: string, by: readonly string[], why: string])[] = [
  [`${SERVER}/run`, [`${SERVER}/main.ts`], "the one place where the planes meet"],
  [`${SERVER}/wire`, at("control", "config-log", "proxy/config", "run"), "messages stay at the edges"],
  ["sdk/src/server", [...at("cli", "run"), "sdk/src/testing"], "the core stays small; run signs users' tokens"],
  ["sdk/src/testing", [], "for users' tests only"],
  ["sdk/src/adapters", ["server/dashboard"], "the core stays small, and each peer optional"],
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
  [
    "random",
    /\brandomBytes\(|\brandomUUID\(|\bgetRandomValues\(|\bMath\.random\(/,
    at("random.ts", "key-file.ts"),
    "tests repeat it, but for the master key",
  ],
  ["fetch", /(?<![.\w#])fetch\(/, at("outbound", "cli"), "one door out"],
];

/** Where a secret opens, and what for. Every file with a `.reveal(` has its row. */
const REVEALS: readonly (readonly [path: string, purpose: string])[] = [
  ["cli/client.ts", "the API key goes into the call"],
  ["control/api-keys/create.ts", "a new API key is shown once"],
  ["control/api-keys/rotate.ts", "a rotated key is shown once"],
  ["control/hmac-check.ts", "a new HMAC secret is judged before it is kept: length, obvious weakness"],
  ["control/links/debug-keys.ts", "a new debug key is shown once"],
  ["control/link-tokens/create.ts", "a new link token is shown once"],
  ["control/operator-key.ts", "the first API key is hashed for the database"],
  ["control/proxies/join.ts", "a new join token or credential is shown once"],
  ["control/secret-values.ts", "a new value is sealed for the database"],
  ["control/signing-keys.ts", "a new private key is sealed for the database"],
  ["control/tokens/mint.ts", "a session's first refresh token is shown once"],
  ["control/tokens/refresh.ts", "a session's next refresh token is shown"],
  ["jwt/compact-sign.ts", "the private key that signs tokens, or assertions at a proxy"],
  ["jwt/signing-key.ts", "a private key that is imported"],
  ["jwt/trust.ts", "the HMAC key that verifies"],
  ["proxy/config/control-client.ts", "the proxy's credential goes into its calls"],
  ["proxy/config/credential-rotation.ts", "the next credential is hashed for the control plane"],
  ["proxy/config/join.ts", "the join token is sent, once"],
  ["proxy/hidden-credential.ts", "the header that the upstream gets"],
  ["run/demo-resources.ts", "the demo's secrets are stored through the API"],
  ["run/demo-upstream.ts", "the demo upstream compares its key"],
  ["run/dev.ts", "an earlier proxy credential is tried before a new one is made"],
  ["run/local.ts", "a new API key is shown once"],
  ["run/proxy-credential.ts", "a new proxy credential is kept in its file"],
  ["sealing/fleet-key.ts", "a value is sealed for the proxies"],
  ["sealing/master-keys.ts", "the master keys are parsed"],
  ["sealing/snapshot-key.ts", "the key of the snapshot on disk is derived from the proxy's credential"],
  ["store/open-postgres.ts", "the database URL holds a password"],
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
const NETWORK_USERS = at("listen", "outbound", "proxy/config", "cli", "run/demo-upstream.ts");
const HARMLESS_NAMES = [
  "isIP",
  "isIPv4",
  "isIPv6",
  "BlockList",
  "SocketAddress",
  "STATUS_CODES",
  "ServerResponse",
  "validateHeaderName",
];

/** A newcomer's questions: the file list alone should have told where to look. */
const QUESTIONS: readonly (readonly [question: string, path: string, symbol: string])[] = [
  ["What does a link consist of?", `${SERVER}/model/link.ts`, "Link"],
  ["Which error codes are there, and what status has each?", `${SERVER}/model/errors.ts`, "ERRORS"],
  ["What does exit code 3 mean?", `${SERVER}/model/exit.ts`, "EXIT"],
  ["How is a link token made and checked for typing errors?", `${SERVER}/model/token-string.ts`, "generateToken"],
  ["Why does a secret never show up in a log?", `${SERVER}/model/secret-text.ts`, "SecretText"],
  ["Which paths does /api/users/{jwt.sub}/** match?", `${SERVER}/policy/path-template.ts`, "parsePathTemplate"],
  ["Which spellings of a path are refused?", `${SERVER}/policy/path-ambiguity.ts`, "isAmbiguousPath"],
  ["When does a rate limit let the next request pass?", `${SERVER}/policy/limit.ts`, "reserve"],
  ["Where is a refresh token compared?", `${SERVER}/model/refresh-token.ts`, "isSignedWith"],
  ["When does a refresh token end its session?", `${SERVER}/policy/refresh.ts`, "judgeRefresh"],
  ["How is a revoked token found among a million?", `${SERVER}/policy/revocation.ts`, "RevocationIndex"],
  ["Why can a link not reach my router?", `${SERVER}/outbound/address-policy.ts`, "addressRefusal"],
  ["What is in the database?", `${SERVER}/store/schema.ts`, "links"],
  ["Why can two processes not open one data directory?", `${SERVER}/store/directory-lock.ts`, "lockDirectory"],
  ["Who may call which method?", `${SERVER}/control/permissions.ts`, "PERMISSIONS"],
  ["What is in a page token?", `${SERVER}/control/page-token.ts`, "createPageTokens"],
  ["How does one implementation serve gRPC and Connect?", `${SERVER}/listen/grpc-mount.ts`, "mountOnGrpc"],
  ["How does a message become a link?", `${SERVER}/wire/link.ts`, "linkFromProto"],
  ["Where does the hidden key get into a request?", `${SERVER}/proxy/hidden-credential.ts`, "HiddenCredential"],
  ["What does the upstream learn in X-Conduit-Assertion?", `${SERVER}/jwt/assertion.ts`, "AssertionContent"],
  ["Which environment variables are there?", `${SERVER}/settings.ts`, "readEnvironment"],
  ["Where does the time come from?", `${SERVER}/clock.ts`, "systemClock"],
  ["When does the SDK refresh a token?", "sdk/src/expiry.ts", "marginMs"],
  ["Why do ten calls cause one refresh?", "sdk/src/refresh-slot.ts", "createRefreshSlot"],
  ["Which calls are repeated after a refresh, with what body?", "sdk/src/body.ts", "bodySource"],
  ["Why do two tabs not use one refresh token twice?", "sdk/src/session/rotation.ts", "nextRecord"],
  ["What does the SDK keep in a store?", "sdk/src/session/record.ts", "SessionRecord"],
];

const serverFiles = readSourceFiles("server/src/**/*.ts", "server/bin/*.mjs");
const dashboardFiles = readSourceFiles("server/dashboard/**/*.{ts,tsx}");
const sdkFiles = readSourceFiles("sdk/src/**/*.{ts,tsx}");
const generatedFiles = readSourceFiles("proto/gen/**/*.ts");
const ourFiles = [...serverFiles, ...dashboardFiles, ...sdkFiles];

const knownFiles = [...ourFiles, ...generatedFiles];
const REVEALING = REVEALS.map(([path]) => `${SERVER}/${path}`);

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
  const adapter = /^sdk\/src\/adapters\/(?<name>[^/.]+)/.exec(path)?.groups?.name;
  if (adapter !== undefined) return `adapters/${adapter}`;
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
    const named = [
      ...rules,
      ...EFFECTS.flatMap(([, , where]) => where),
      ...NETWORK_USERS,
      ...EFFECT_TYPES,
      ...REVEALING,
    ];
    const paths = [...new Set(named)].filter((path) => /^(server|sdk|proto)\//.test(path));
    const isThere = (path: string) => knownFiles.some((file) => isWithin(file.path, path));
    expect(paths.filter((path) => !isThere(path))).toEqual([]);
  });

  test("each folder imports what its row allows", () => {
    expect(knownFiles.flatMap(forbiddenImports)).toEqual([]);
  });

  test("no stage knows another stage, no service another service, no adapter another adapter", () => {
    expect([...serverFiles, ...sdkFiles].flatMap(siblingImports)).toEqual([]);
  });

  test.each(IMPORTED_ONLY_BY)("%s is imported only by %j: %s", (target, by) => {
    const wrong = ourFiles.filter(
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
  test.each(EFFECTS)("%s, that is %s, only in %j: %s", (_what, pattern, where) => {
    const wrong = serverFiles.filter((file) => !isIn(file.path, where) && pattern.test(file.bareCode));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  test("a secret opens only where it is used for its purpose", () => {
    const revealing = serverFiles.filter((file) => /\.reveal\(/.test(file.bareCode)).map((file) => file.path);
    expect(revealing.sort()).toEqual(REVEALING.toSorted());
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
    const file = knownFiles.find((it) => it.path === path);
    expect(file, "the file is gone").toBeDefined();
    expect(file?.code).toMatch(new RegExp(`\\b(function|class|const|interface|type) ${symbol}\\b`));
  });
});
