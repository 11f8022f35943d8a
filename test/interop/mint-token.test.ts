// MintToken by clients that are not ours: raw grpc-js, buf curl in three protocols, curl with plain JSON.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { create, fromBinary } from "@bufbuild/protobuf";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { Health, HealthCheckRequestSchema } from "@conduit-link/proto/grpc/health/v1/health_pb";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { until } from "../support/until.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const METHOD = "conduit.v1.TokenService/MintToken";
const REVOKE = "conduit.v1.TokenService/RevokeToken";
/** buf curl's exit code is the gRPC code shifted; these are the codes. */
const BUF_EXIT = { invalidArgument: 3 * 8, unauthenticated: 16 * 8 } as const;

let dev: DevFile;
beforeAll(async () => {
  dev = (await startConduit("dev")).dev;
  // buf needs validate.proto, which is printed from the npm package.
  const vendor = "import('./.ci/vendor-validate.mjs').then((it) => it.vendorValidate('proto/.vendor'))";
  expect(spawnSync(process.execPath, ["-e", vendor], { cwd: ROOT }).status).toBe(0);
}, 90_000);

interface Output {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: string, args: readonly string[]): Promise<Output> {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { exit: Number(exit), stdout, stderr };
}

/** A request that the demo link's policy is content with once it is a token. */
const mintRequest = (subject: string) => ({
  parent: dev.project,
  subject,
  links: [dev.link],
  claims: { email: "a@b.example" },
});

/** What the proxy says to a minted token on the subject's own path, and on another's. */
async function statusesAtProxy(token: string, subject: string): Promise<number[]> {
  const headers = { authorization: `Bearer ${token}`, "x-access-token": dev.link_token };
  const urls = [subject, "somebody-else"].map((user) => `${dev.proxy_url}/${dev.link_id}/api/users/${user}/orders`);
  const answers = await Promise.all(urls.map((url) => fetch(url, { headers })));
  return answers.map(({ status }) => status);
}

describe("grpc-js without generated code", () => {
  const request = (subject: string) => create(MintTokenRequestSchema, mintRequest(subject));

  test("mints a token that the proxy accepts", async () => {
    using grpc = rawGrpc(dev.grpc_address);
    const answer = await grpc.call(TokenService.method.mintToken, request("raw-grpc"), {
      authorization: `Bearer ${dev.api_key}`,
    });
    expect(answer).toMatchObject({ status: "OK", message: { tokenType: "Bearer", expiresIn: 900n } });
    expect(await statusesAtProxy(answer.message?.accessToken ?? "", "raw-grpc")).toEqual([200, 403]);
  });

  test("is told what is wrong: no key, and a wrong field by its name", async () => {
    using grpc = rawGrpc(dev.grpc_address);
    expect((await grpc.call(TokenService.method.mintToken, request("x"))).status).toBe("UNAUTHENTICATED");
    const wrong = create(MintTokenRequestSchema, { ...mintRequest("x"), subject: "" });
    const answer = await grpc.call(TokenService.method.mintToken, wrong, { authorization: `Bearer ${dev.api_key}` });
    expect(answer).toMatchObject({ status: "INVALID_ARGUMENT", details: expect.stringContaining("subject") });
    const [bin] = answer.trailer.get("grpc-status-details-bin");
    const details = new Headers({ "grpc-status-details-bin": Buffer.from(bin as Buffer).toString("base64") });
    expect(findTrailerError(details)?.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "FIELD_INVALID", domain: "conduit.link" },
    ]);
  });

  test("asks for health without a key", async () => {
    using grpc = rawGrpc(dev.grpc_address);
    const answer = await grpc.call(Health.method.check, create(HealthCheckRequestSchema));
    expect(answer).toMatchObject({ status: "OK", message: { status: 1 } });
  });
});

describe("buf curl", () => {
  const http = (method: string) => ["--schema", "proto", `${dev.control_url}/${method}`];
  const PROTOCOLS: readonly (readonly [name: string, args: (method: string) => string[]])[] = [
    [
      "gRPC, by reflection",
      (method) => ["--protocol", "grpc", "--http2-prior-knowledge", `http://${dev.grpc_address}/${method}`],
    ],
    ["gRPC-Web", (method) => ["--protocol", "grpcweb", ...http(method)]],
    ["Connect", (method) => ["--protocol", "connect", ...http(method)]],
  ];
  const bufCurl = (args: readonly string[], request: object, key = dev.api_key) =>
    run("node_modules/.bin/buf", [
      "curl",
      "--data",
      JSON.stringify(request),
      "--header",
      `Authorization: Bearer ${key}`,
      ...args,
    ]);

  test.each(PROTOCOLS)("%s mints a token that the proxy accepts", async (_name, args) => {
    const { exit, stdout, stderr } = await bufCurl(args(METHOD), mintRequest("buf"));
    expect([exit, stderr]).toEqual([0, ""]);
    const { accessToken } = JSON.parse(stdout) as { accessToken: string };
    expect(await statusesAtProxy(accessToken, "buf")).toEqual([200, 403]);
  });

  test.each(PROTOCOLS)("%s is told what is wrong", async (_name, args) => {
    expect((await bufCurl(args(METHOD), mintRequest("buf"), "cl_key_wrong")).exit).toBe(BUF_EXIT.unauthenticated);
    const wrong = await bufCurl(args(METHOD), { ...mintRequest("buf"), links: [] });
    expect(wrong.exit).toBe(BUF_EXIT.invalidArgument);
    expect(wrong.stderr).toContain("links");
    const { details } = JSON.parse(wrong.stderr) as { details: { type: string; value: string }[] };
    expect(details.map(({ type }) => type)).toEqual(["google.rpc.ErrorInfo", "google.rpc.BadRequest"]);
    const info = fromBinary(ErrorInfoSchema, Buffer.from(details[0]?.value ?? "", "base64"));
    expect(info).toMatchObject({ reason: "FIELD_INVALID", domain: "conduit.link" });
  });

  test.each(PROTOCOLS)("%s revokes a token, which the proxy then refuses", async (_name, args) => {
    const { accessToken, tokenId } = JSON.parse((await bufCurl(args(METHOD), mintRequest("buf-revoked"))).stdout) as {
      accessToken: string;
      tokenId: string;
    };
    expect(await statusesAtProxy(accessToken, "buf-revoked")).toEqual([200, 403]);
    const revoked = await bufCurl(args(REVOKE), { parent: dev.project, tokenId, reason: "stolen" });
    expect([revoked.exit, revoked.stderr]).toEqual([0, ""]);
    await until("the proxy refuses the token", async () =>
      (await statusesAtProxy(accessToken, "buf-revoked"))[0] === 401 ? true : undefined,
    );
  });

  test("lists services and methods by reflection, health among them", async () => {
    const args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    const services = await run("node_modules/.bin/buf", [...args, "--list-services", `http://${dev.grpc_address}`]);
    expect(services.stdout.split("\n")).toEqual(
      expect.arrayContaining(["conduit.v1.LinkService", "grpc.health.v1.Health"]),
    );
    const health = await run("node_modules/.bin/buf", [
      ...args,
      `http://${dev.grpc_address}/grpc.health.v1.Health/Check`,
    ]);
    expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
  });
});

describe("curl with plain JSON", () => {
  const curl = (body: string, key = dev.api_key) =>
    run("curl", [
      ...["--silent", "--show-error", "--write-out", "\n%{http_code}", "--data", body],
      ...["--header", "Content-Type: application/json", "--header", `Authorization: Bearer ${key}`],
      `${dev.control_url}/${METHOD}`,
    ]);
  const parse = ({ stdout }: Output) => {
    const [body = "", status] = stdout.split(/\n(?=\d+$)/);
    return { status: Number(status), body: JSON.parse(body) as Record<string, unknown> };
  };

  test("mints a token that the proxy accepts", async () => {
    const { status, body } = parse(await curl(JSON.stringify(mintRequest("curl"))));
    expect([status, body.tokenType]).toEqual([200, "Bearer"]);
    expect(await statusesAtProxy(String(body.accessToken), "curl")).toEqual([200, 403]);
  });

  test("is told what is wrong, in JSON", async () => {
    expect(parse(await curl(JSON.stringify(mintRequest("curl")), "cl_key_wrong"))).toMatchObject({
      status: 401,
      body: { code: "unauthenticated" },
    });
    expect(parse(await curl("{"))).toMatchObject({ status: 400, body: { code: "invalid_argument" } });
    const wrong = parse(await curl(JSON.stringify({ ...mintRequest("curl"), subject: "" })));
    expect(wrong).toMatchObject({
      status: 400,
      body: { code: "invalid_argument", message: expect.stringContaining("subject") },
    });
  });
});
