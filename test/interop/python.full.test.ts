// Python's grpcio on code that README's recipe generated, and PyJWT.
import { join } from "node:path";
import { beforeAll, test } from "vitest";
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
  readmeBlock,
  runProgram,
} from "./foreign-client.ts";

const PACKAGES = [
  "grpcio",
  "grpcio-tools",
  "grpcio-status",
  "grpcio-health-checking",
  "grpcio-reflection",
  "pyjwt[crypto]",
];

const hasPython = isInstalled("python3", "python3");
/** Folder of the client; undefined when grpcio could not be had. */
let folder: string | undefined;
let dev: DevFile;

function buildAll(at: string): string {
  const venv = join(at, "venv");
  runProgram("python3", ["-m", "venv", venv]);
  runProgram(join(venv, "bin/pip"), ["install", "--quiet", ...PACKAGES]);
  makeClone(at);
  const env = { ...process.env, PATH: `${venv}/bin:${process.env.PATH}` };
  runProgram("sh", ["-ec", readmeBlock("grpc_tools.protoc")], { cwd: at, env });
  return at;
}

beforeAll(async () => {
  if (!hasPython) return;
  try {
    folder = buildAll(makeTmpDir("conduit-python-").path);
  } catch (cause) {
    if (process.env.CI === "true") throw cause;
    console.warn(`grpcio could not be installed: its tests were not run (${String(cause).slice(0, 200)})`);
    return;
  }
  dev = (await startConduit("dev")).dev;
}, 240_000);

const client: ForeignClient = async (mode, settings) => {
  const at = { input: JSON.stringify(settings), env: { ...process.env, PYTHONPATH: join(folder ?? "", "gen") } };
  return JSON.parse(runProgram(join(folder ?? "", "venv/bin/python"), [join(CLIENTS, "client.py"), mode], at));
};

const withPython = test.runIf(hasPython);

withPython("a generated Python client mints, refreshes, revokes, pages, and reads typed errors", async ({ skip }) => {
  if (folder === undefined) return skip("grpcio could not be installed");
  await expectCalls(dev, client);
});

withPython("PyJWT verifies our tokens by the key set, and nothing else", async ({ skip }) => {
  if (folder === undefined) return skip("grpcio could not be installed");
  await expectVerified(dev, client);
});

withPython("PyJWT verifies at the upstream the assertion of who calls", async ({ skip }) => {
  if (folder === undefined) return skip("grpcio could not be installed");
  await expectAssertion(dev, client);
});
