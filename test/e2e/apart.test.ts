// `conduit server` and `conduit proxy` as two processes: what the proxy knows, it keeps.
import { statSync } from "node:fs";
import { join } from "node:path";
import jwt from "jsonwebtoken";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import { runConduit } from "../support/conduit-process.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type ApartStack, joinProxy, startApart } from "../support/stack.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

const SECRET = "Qx17vR9pZk3TqLw8Yb5NcHs2Dg6MfJx4aE";
const PROJECT = "projects/apart";
const LINK_ID = "apart-api";

let stack: ApartStack;
let upstream: HttpServer;
let linkToken: string;

beforeAll(async () => {
  [stack, upstream] = await Promise.all([startApart(), startHttpServer(() => ({ body: "served" }))]);
  const call = (service: string, method: string, message: Record<string, unknown>) =>
    stack.control.call<Record<string, { token: string }>>(`conduit.v1.${service}`, method, message);
  await call("ProjectService", "CreateProject", { projectId: "apart" });
  for (const [id, value] of Object.entries({ "api-key": "sk-upstream-key", hmac: SECRET }))
    await call("SecretService", "CreateSecret", { parent: PROJECT, secretId: id, secret: { value } });
  await call("IssuerService", "CreateIssuer", {
    parent: PROJECT,
    issuerId: "own",
    issuer: { iss: "apart", hs256: { secret: `${PROJECT}/secrets/hmac` } },
  });
  await call("LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: LINK_ID,
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      injections: [{ bearer: {}, secret: `${PROJECT}/secrets/api-key` }],
      issuers: [`${PROJECT}/issuers/own`],
      rules: [{ path: "/users/{jwt.sub}/*" }],
      sendForwarded: true,
      limits: [{ name: "per-user", requests: 100_000, burst: 10_000 }],
    },
  });
  const created = await call("LinkTokenService", "CreateLinkToken", {
    parent: `${PROJECT}/links/${LINK_ID}`,
    linkToken: {},
  });
  linkToken = created.linkToken?.token ?? "";
  await until("the link is served", async () =>
    (await ask(stack.proxy.ports.proxy)).status === 200 ? true : undefined,
  );
}, 120_000);

const ask = (port: number) =>
  fetch(`http://127.0.0.1:${port}/${LINK_ID}/users/7/orders`, {
    headers: {
      "X-Access-Token": linkToken,
      Authorization: `Bearer ${jwt.sign({ sub: "7", iss: "apart" }, SECRET, { expiresIn: "5m" })}`,
    },
  });

describe("joining", () => {
  test("a join token works once; a proxy behind TLS tells upstreams so", async () => {
    const env = { CONDUIT_URL: stack.controlUrl, CONDUIT_API_KEY: stack.apiKey };
    const { join_token } = JSON.parse((await runConduit(["proxy", "join-token", "--json"], { env })).stdout) as {
      join_token: string;
    };
    const start = () =>
      startConduit("proxy", {
        dataDir: makeTmpDir("conduit-join-").path,
        env: { CONDUIT_JOIN_TOKEN: join_token },
        args: ["--host", "127.0.0.1", "--control", stack.grpcAddress, "--behind-tls"],
      });
    const first = await start();
    const forwarded = async (port: number) => {
      await ask(port);
      return upstream.requests.at(-1)?.header("forwarded");
    };
    expect(await forwarded(first.ports.proxy)).toEqual([expect.stringMatching(/;proto=https$/)]);
    expect(await forwarded(stack.proxy.ports.proxy)).toEqual([expect.stringMatching(/;proto=http$/)]);
    await first.stop();
    await expect(start()).rejects.toThrow(/CONDUIT_JOIN_TOKEN: unknown, used or expired/);
  });

  test("the proxy's credential is a file for its owner only, and the list shows the proxy in step", async () => {
    expect(statSync(join(stack.proxy.dataDir, "proxy.credential")).mode & 0o777).toBe(0o600);
    const env = { CONDUIT_URL: stack.controlUrl, CONDUIT_API_KEY: stack.apiKey };
    const inStep = await until("a proxy without lag", async () => {
      const rows = JSON.parse((await runConduit(["proxy", "list", "--json"], { env })).stdout) as Array<{
        connected: boolean;
        lag: number;
      }>;
      return rows.find(({ connected, lag }) => connected && lag === 0);
    });
    expect(inStep).toMatchObject({ rejected: 0 });
  });
});

describe("settings that would be unsafe are refused in words:", () => {
  const rows: Array<[what: string, args: string[], env: Record<string, string>, exit: number, text: RegExp]> = [
    ["a plain HTTP port off loopback", ["server"], { CONDUIT_MASTER_KEY: "x" }, 2, /--tls-cert .*--behind-tls/],
    ["a plain gRPC port off loopback", ["server", "--behind-tls"], { CONDUIT_MASTER_KEY: "x" }, 2, /--insecure-grpc/],
    ["no master key in production mode", ["server", "--host", "127.0.0.1"], {}, 3, /CONDUIT_MASTER_KEY/],
    ["a proxy without a control plane", ["proxy", "--host", "127.0.0.1"], {}, 2, /--control/],
    ["an unknown flag", ["server", "--no-such-flag"], {}, 2, /no-such-flag/],
    [
      "a bad DATABASE_URL",
      ["server", "--host", "127.0.0.1"],
      { CONDUIT_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"), DATABASE_URL: "mysql://u:hunter2@db/x" },
      2,
      /DATABASE_URL/,
    ],
  ];

  test.each(rows)("%s", async (_what, args, env, exit, text) => {
    const refused = await runConduit([...args, "--data-dir", makeTmpDir("conduit-refused-").path], { env });
    expect([refused.exit, refused.stderr]).toEqual([exit, expect.stringMatching(text)]);
    expect(refused.stderr).not.toContain("hunter2");
    expect(refused.stderr).not.toMatch(/\n\s+at /);
  });
});

describe("when the server is gone", () => {
  test("the proxy still answers, also after its own restart", async () => {
    const proxy = await joinProxy(stack.controlUrl, stack.grpcAddress, stack.apiKey);
    await until("the second proxy serves", async () =>
      (await ask(proxy.ports.proxy)).status === 200 ? true : undefined,
    );
    expect(await stack.server.stop()).toBe(0);
    expect((await ask(stack.proxy.ports.proxy)).status).toBe(200);

    expect(await proxy.stop()).toBe(0);
    const again = await startConduit("proxy", {
      dataDir: proxy.dataDir,
      args: ["--host", "127.0.0.1", "--control", stack.grpcAddress],
    });
    const served = await ask(again.ports.proxy);
    expect([served.status, await served.text()]).toEqual([200, "served"]);
    expect(upstream.requests.at(-1)?.header("authorization")).toEqual(["Bearer sk-upstream-key"]);
  });

  test("and follows again when the server comes back: a revoked link token is refused", async () => {
    await startConduit("server", {
      dataDir: stack.server.dataDir,
      env: stack.serverEnv,
      args: ["--host", "127.0.0.1"],
      ports: { http: stack.server.ports.http, grpc: stack.server.ports.grpc },
    });
    const { linkTokens } = await stack.control.call<{ linkTokens: Array<{ name: string }> }>(
      "conduit.v1.LinkTokenService",
      "ListLinkTokens",
      { parent: `${PROJECT}/links/${LINK_ID}` },
    );
    await stack.control.call("conduit.v1.LinkTokenService", "DeleteLinkToken", { name: linkTokens[0]?.name ?? "" });
    const refused = await until(
      "the revoked token is refused",
      async () => {
        const response = await ask(stack.proxy.ports.proxy);
        return response.status === 401 ? response : undefined;
      },
      45_000,
    );
    expect(refused.headers.get("x-conduit-error")).toBe("link_token_invalid");
  });
});
