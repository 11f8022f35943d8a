// Go's own gRPC on code that README's recipe generated, golang-jwt, and the two tools everybody asks gRPC servers with:
// grpcurl and grpc_health_probe.
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { isInstalled } from "../support/installed.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import {
  CLIENTS,
  expectAssertion,
  expectCalls,
  expectVerified,
  type ForeignClient,
  makeClone,
  ROOT,
  readmeBlock,
  runProgram,
} from "./foreign-client.ts";

const TOOLS = [
  "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
  "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
  "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
  "github.com/grpc-ecosystem/grpc-health-probe@v0.4.61",
];
const GO_MOD = `module conduit.example/client

go 1.24

require (
	github.com/MicahParks/jwkset v0.11.4
	github.com/golang-jwt/jwt/v5 v5.3.1
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)
`;

const hasGo = isInstalled("go", "golang-go");
/** Folder with the programs; undefined when they could not be built. */
let bin: string | undefined;
let dev: DevFile;

function buildAll(folder: string): string {
  const tools = join(folder, "bin");
  const env = {
    ...process.env,
    GOBIN: tools,
    GOFLAGS: "-mod=mod",
    // Go's own place before the distribution's, which may be years older.
    PATH: `${tools}:${ROOT}/node_modules/.bin:/usr/local/go/bin:${process.env.PATH}`,
  };
  const at = { cwd: folder, env };
  for (const tool of TOOLS) runProgram("go", ["install", tool], at);
  makeClone(folder);
  writeFileSync(join(folder, "buf.gen.go.yaml"), readmeBlock("protoc-gen-go-grpc"));
  runProgram("sh", ["-ec", readmeBlock("buf.gen.go.yaml")], at);
  writeFileSync(join(folder, "go.mod"), GO_MOD);
  cpSync(join(CLIENTS, "client.go"), join(folder, "main.go"));
  runProgram("go", ["mod", "tidy"], at);
  runProgram("go", ["build", "-o", join(tools, "client"), "."], at);
  return tools;
}

beforeAll(async () => {
  if (!hasGo) return;
  try {
    bin = buildAll(makeTmpDir("conduit-go-").path);
  } catch (cause) {
    if (process.env.CI === "true") throw cause;
    console.warn(`Go clients could not be built: their tests were not run (${String(cause).slice(0, 300)})`);
    return;
  }
  dev = (await startConduit("dev")).dev;
}, 600_000);

const client: ForeignClient = async (mode, settings) =>
  JSON.parse(runProgram(join(bin ?? "", "client"), [mode], { input: JSON.stringify(settings) }));

const withGo = test.runIf(hasGo);
const NOT_BUILT = "Go clients could not be built";

withGo("a generated Go client mints, refreshes, revokes, pages, and reads typed errors", async ({ skip }) => {
  if (bin === undefined) return skip(NOT_BUILT);
  await expectCalls(dev, client);
});

withGo("golang-jwt verifies our tokens by the key set, and nothing else", async ({ skip }) => {
  if (bin === undefined) return skip(NOT_BUILT);
  await expectVerified(dev, client);
});

withGo("grpcurl lists, describes and calls by reflection, and shows what is wrong", ({ skip }) => {
  if (bin === undefined) return skip(NOT_BUILT);
  const grpcurl = (...args: string[]) => runProgram(join(bin ?? "", "grpcurl"), ["-plaintext", ...args]);
  const key = ["-H", `authorization: Bearer ${dev.api_key}`];
  expect(grpcurl(dev.grpc_address, "list").split("\n")).toContain("conduit.v1.TokenService");
  expect(grpcurl(dev.grpc_address, "describe", "conduit.v1.TokenService.MintToken")).toContain("MintTokenRequest");
  const listed = grpcurl(
    ...key,
    "-d",
    `{"parent":"${dev.project}"}`,
    dev.grpc_address,
    "conduit.v1.LinkService/ListLinks",
  );
  expect((JSON.parse(listed) as { links: { name: string }[] }).links.map(({ name }) => name)).toContain(dev.link);
  const wrong = ["-d", "{}", dev.grpc_address, "conduit.v1.TokenService/MintToken"];
  expect(() => grpcurl(...key, ...wrong)).toThrow(/Code: InvalidArgument[\s\S]*FIELD_INVALID/);
  expect(() => grpcurl(...wrong)).toThrow(/Code: Unauthenticated[\s\S]*CREDENTIAL_INVALID/);
});

withGo("grpc_health_probe finds the server and each service serving", ({ skip }) => {
  if (bin === undefined) return skip(NOT_BUILT);
  const probe = (...args: string[]) =>
    runProgram("sh", [
      "-c",
      '"$0" "$@" 2>&1',
      join(bin ?? "", "grpc-health-probe"),
      `-addr=${dev.grpc_address}`,
      ...args,
    ]);
  expect(probe()).toContain("status: SERVING");
  expect(probe("-service=conduit.v1.TokenService")).toContain("status: SERVING");
  expect(() => probe("-service=conduit.v1.NoService")).toThrow();
});

withGo("golang-jwt verifies at the upstream the assertion of who calls", async ({ skip }) => {
  if (bin === undefined) return skip(NOT_BUILT);
  await expectAssertion(dev, client);
});
