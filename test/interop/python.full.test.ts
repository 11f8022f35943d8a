// MintToken by Python's grpcio with code generated from our protos by its own compiler.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { isInstalled } from "../support/installed.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROTOS = ["conduit/v1/token_service.proto", "buf/validate/validate.proto"];

const CLIENT = `
import grpc, json, sys
from conduit.v1 import token_service_pb2 as messages
from conduit.v1 import token_service_pb2_grpc as services
address, key, parent, link = sys.argv[1:5]
stub = services.TokenServiceStub(grpc.insecure_channel(address))
def mint(metadata, **fields):
    request = messages.MintTokenRequest(parent=parent, subject="py-user", links=[link], **fields)
    try:
        answer = stub.MintToken(request, metadata=metadata, timeout=20)
        return {"token": answer.access_token, "type": answer.token_type, "expires_in": answer.expires_in}
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
authorized = [("authorization", "Bearer " + key)]
request = messages.MintTokenRequest()
request.claims.update({"email": "a@b.example"})
print(json.dumps([mint(authorized, claims=request.claims), mint([]), mint([("authorization", "Bearer nonsense")])]))
`;

const hasPython = isInstalled("python3", "python3");
/** Folder of the virtual environment; undefined when grpcio could not be had. */
let python: string | undefined;
let folder: string;
let dev: DevFile;

function run(program: string, args: readonly string[], cwd = ROOT): string {
  const done = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

beforeAll(async () => {
  if (!hasPython) return;
  folder = makeTmpDir("conduit-python-").path;
  const venv = join(folder, "venv");
  try {
    run("python3", ["-m", "venv", venv]);
    run(join(venv, "bin/pip"), ["install", "--quiet", "grpcio", "grpcio-tools"]);
  } catch (cause) {
    if (process.env.CI === "true") throw cause;
    console.warn(`grpcio could not be installed: its test was not run (${String(cause).slice(0, 200)})`);
    return;
  }
  python = join(venv, "bin/python");
  run(process.execPath, ["-e", "import('./.ci/vendor-validate.mjs').then((it) => it.vendorValidate('proto/.vendor'))"]);
  const out = join(folder, "gen");
  mkdirSync(out);
  const includes = ["-I", join(ROOT, "proto"), "-I", join(ROOT, "proto/.vendor")];
  run(python, ["-m", "grpc_tools.protoc", ...includes, `--python_out=${out}`, `--grpc_python_out=${out}`, ...PROTOS]);
  writeFileSync(join(out, "client.py"), CLIENT);
  dev = (await startConduit("dev")).dev;
}, 240_000);

test.runIf(hasPython)("grpcio mints a token that the proxy accepts, and is told why it may not", async ({ skip }) => {
  if (python === undefined) return skip("grpcio could not be installed");
  const args = [dev.grpc_address, dev.api_key, dev.project, dev.link];
  const printed = run(python, ["client.py", ...args], join(folder, "gen"));
  const [minted, without, wrong] = JSON.parse(printed) as Record<string, string>[];
  expect(minted).toMatchObject({ type: "Bearer" });
  expect([without?.code, wrong?.code]).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED"]);
  const headers = { authorization: `Bearer ${minted?.token}`, "x-access-token": dev.link_token };
  const ask = async (user: string) =>
    (await fetch(`${dev.proxy_url}/${dev.link_id}/api/users/${user}/orders`, { headers })).status;
  expect([await ask("py-user"), await ask("someone-else")]).toEqual([200, 403]);
});
