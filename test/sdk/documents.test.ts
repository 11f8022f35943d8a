// The code people copy runs: the README's blocks and the example, against one server that plays every part.
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { ROOT } from "../support/source-file.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";

const SECRET = "a secret of more than thirty-two bytes";

let server: HttpServer;

beforeEach(async () => {
  server = await startHttpServer(({ target }) => {
    if (target === "/api/conduit-token") return { body: { accessToken: "user-jwt", expiresIn: 900 } };
    if (target.endsWith("/MintToken")) return { body: { accessToken: "minted", expiresIn: 900, tokenId: "token-1" } };
    if (target.includes("somebody-else")) return { status: 403, body: { code: "rule_denied" } };
    return { body: { greeting: "hello" } };
  });
});
afterEach(() => server.close());

/** Runs TypeScript in a process of its own, from `sdk/`, where the package finds itself by name. */
async function run(args: readonly string[], source = "", env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(process.execPath, ["--conditions=conduit-source", ...args], {
    cwd: join(ROOT, "sdk"),
    env: { ...process.env, ...env },
  });
  child.stdin.end(source);
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return out + err;
}

async function readmeBlock(index: number): Promise<string> {
  const readme = await readFile(join(ROOT, "sdk/README.md"), "utf8");
  const block = [...readme.matchAll(/```ts\n(.*?)```/gs)][index]?.[1] ?? "";
  const hosts = /https:\/\/(proxy|my-app|control)\.example/g;
  expect(block).toMatch(hosts);
  return block.replace(hosts, server.url);
}

test("the README's app code calls the link with both credentials", async () => {
  const out = await run(["--input-type=module-typescript"], await readmeBlock(0));
  expect(out).toBe('200 {"greeting":"hello"}\n');
  const call = server.requests.find(({ target }) => target === "/my-link/api/users/123/profile");
  expect(call?.header("authorization")).toEqual(["Bearer user-jwt"]);
  expect(call?.header("x-access-token")).toEqual(["cl_pub_myLinkToken"]);
});

test("the README's back-end code signs, verifies and mints", async () => {
  const env = { CONDUIT_JWT_SECRET: SECRET, CONDUIT_API_KEY: "cl_key_x" };
  expect(await run(["--input-type=module-typescript"], await readmeBlock(1), env)).toBe("token-1 900\n");
  expect(server.requests[0]?.header("authorization")).toEqual(["Bearer cl_key_x"]);
});

test("the README's code of an API behind a link refuses a request without an assertion", async () => {
  const call = 'console.log(await whoCalls(new Request("https://api.example")).catch(String))';
  const code = `${await readmeBlock(2)}\n${call}`;
  expect(await run(["--input-type=module-typescript"], code)).toBe("IdentityAssertionError: Missing assertion\n");
});

test("the example reads dev.json, calls the demo link, is refused what is not its user's, and sends nothing elsewhere", async () => {
  const file = join(tmpDirOfTest(), "dev.json");
  const dev = { proxy_url: server.url, link_id: "demo", link_token: "cl_pub_x", iss: "demo", hs256_secret: SECRET };
  await writeFile(file, JSON.stringify(dev));
  const out = await run(["examples/node-script/main.ts", file]);
  expect(out).toContain("/api/users/user-123/profile: 200 { greeting: 'hello' }");
  expect(out).toContain("/api/users/somebody-else/profile: 403 { code: 'rule_denied' }");
  expect(out).toContain("/../another-link/x: not sent, origin_not_allowed");
  expect(server.requests).toHaveLength(2);
});
