// The code people copy runs: the README's blocks and the example, against one server that plays every part.
import { spawn, spawnSync } from "node:child_process";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
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

test("the README's test code runs, and tells what arrived", async () => {
  const readme = await readFile(join(ROOT, "sdk/README.md"), "utf8");
  const block = [...readme.matchAll(/```ts\n(.*?)```/gs)]
    .map(([, code = ""]) => code)
    .find((code) => code.includes("/testing"));
  const out = await run(["--input-type=module-typescript"], block);
  expect(out).toBe("429 [ '123 /profile' ] [ 'rate_limited' ]\n");
});

test("every block of the README is right for the compiler, and so are the callbacks in both generations of NextAuth", async () => {
  const folder = tmpDirOfTest();
  const readme = await readFile(join(ROOT, "sdk/README.md"), "utf8");
  const blocks = [...readme.matchAll(/```(tsx?)\n(.*?)```/gs)];
  expect(blocks.length).toBeGreaterThanOrEqual(10);
  const files = blocks.map(([, kind, code = ""], index) => [`block-${index}.${kind}`, code] as const);
  const authJs = `import type { AuthConfig } from "@auth/core";
    import { conduitCallbacks, createProxyHandler } from "@conduit-link/sdk/next";
    import type { NextApiHandler, NextApiRequest } from "next";
    export const callbacks: NonNullable<AuthConfig["callbacks"]> = conduitCallbacks();
    export const page: NextApiHandler = createProxyHandler({ url: "", getToken: (request: NextApiRequest) => request.cookies.x });`;
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  for (const [name, code] of [...files, ["auth-js.ts", authJs] as const]) await writeFile(join(folder, name), code);
  const modules = join(ROOT, "node_modules");
  await symlink(modules, join(folder, "node_modules"), "junction");
  // As in a Next.js app, whose own modules resolve in no other way.
  const resolution = { module: "esnext", moduleResolution: "bundler", customConditions: ["conduit-source"] };
  const compilerOptions = {
    ...resolution,
    target: "es2022",
    lib: ["es2022", "dom", "dom.iterable"],
    jsx: "react-jsx",
    types: ["node"],
    typeRoots: [join(modules, "@types")],
    paths: { "@auth/core": [join(ROOT, "sdk/node_modules/@auth/core/index.d.ts")] },
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
  };
  // What stands in for the two native modules.
  const native = join(ROOT, "sdk/src/adapters/expo-modules.d.ts");
  const project = { compilerOptions, include: ["*.ts", "*.tsx"], files: [native] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(project));
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  expect(stdout).toBe("");
});
