import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { ConfigService } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { Health } from "@conduit-link/proto/grpc/health/v1/health_pb";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { type ControlHttpOptions, listenControlHttp } from "../../server/src/listen/control-http.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { systemRandom } from "../../server/src/random.ts";
import { until } from "../support/until.ts";
import { apiFixture, GOOD, silentLog } from "./fixture.ts";

const AS_KEY = { headers: { authorization: GOOD } };
const MINT = "/conduit.v1.TokenService/MintToken";

async function start(options: Partial<ControlHttpOptions> = {}) {
  const fixture = apiFixture();
  const { api, health } = fixture;
  const base = {
    host: "127.0.0.1",
    port: 0,
    routes: [],
    hostNames: ["api.example"],
    log: silentLog,
    random: systemRandom,
  };
  const listener = await listenControlHttp({ ...base, api, health, ...options });
  const { port } = listener.address;
  const url = `http://127.0.0.1:${port}`;
  onTestFinished(() => listener.drain(0));
  const post = (path: string, body: unknown, headers: Record<string, string> = { authorization: GOOD }) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return { ...fixture, listener, url, port, post };
}

/** Sends bytes, gives back everything until the server closes. */
async function exchange(port: number, ...parts: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const answer = text(socket);
  for (const part of parts) socket.write(part);
  return answer;
}

const TRANSPORTS: readonly (readonly [name: string, make: (baseUrl: string) => Transport])[] = [
  ["Connect, binary", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true })],
  ["Connect, JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
];

test.each(TRANSPORTS)("%s: unary calls, errors and streams", async (_name, make) => {
  const { url, health } = await start();
  health.setServing(true);
  const transport = make(url);
  const tokens = createClient(TokenService, transport);
  expect(await tokens.mintToken({ subject: "alice" }, AS_KEY)).toMatchObject({ accessToken: "token of alice" });
  const failure = await tokens.mintToken({ subject: "fail" }, AS_KEY).catch((cause: unknown) => cause);
  expect(failure).toMatchObject({ code: Code.NotFound, rawMessage: "no such link" });
  await expect(tokens.mintToken({ subject: "alice" })).rejects.toMatchObject({ code: Code.Unauthenticated });
  expect(await createClient(Health, transport).check({})).toMatchObject({ status: 1 });

  const sequences: bigint[] = [];
  for await (const { event } of createClient(ConfigService, transport).watchConfig({}, AS_KEY)) {
    if (event.case === "heartbeat") sequences.push(event.value.headSequence);
    if (sequences.length === 2) break;
  }
  expect(sequences).toEqual([1n, 2n]);
});

test("plain JSON by hand works, and an error is Connect JSON", async () => {
  const { post } = await start();
  const answer = await post(MINT, { subject: "alice" });
  expect(await answer.json()).toEqual({ accessToken: "token of alice" });
  const refused = await post(MINT, { subject: "alice" }, {});
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "unauthenticated" });
});

test("an error about JSON that cannot be read names the field and never quotes what was sent", async () => {
  const { post, minted } = await start();
  const bodies = [
    '{"subject":12345678901}',
    '{"subject":"hunter2',
    '"hunter2"',
    '{"links":{"hunter2":1}}',
    '{"lifetime":"hunter2"}',
  ];
  const answers = await Promise.all(bodies.map((body) => post(MINT, body)));
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
  expect(texts[0]).toContain("MintTokenRequest.subject");
  expect(texts[1]).toContain("not JSON of the method's request");
  for (const text of texts) {
    expect(text).not.toMatch(/hunter2|12345678901/);
    expect(text).toContain('"reason":"FIELD_INVALID"');
  }
  expect(minted).toEqual([]);
});

test("without a credential, malformed bodies and invented methods are unauthenticated too", async () => {
  const { post, minted } = await start();
  expect((await post(MINT, "{", {})).status).toBe(401);
  expect((await post("/conduit.v1.TokenService/Invented", {}, {})).status).toBe(401);
  expect((await post("/nobody.Service/Method", {}, {})).status).toBe(401);
  expect((await post(MINT, "{")).status).toBe(400);
  const unknown = await post("/conduit.v1.TokenService/Invented", {});
  expect([unknown.status, await unknown.json()]).toMatchObject([501, { code: "unimplemented" }]);
  expect(minted).toEqual([]);
});

test("an oversized body is refused, and the rest of it is never read as a request", async () => {
  const { port, minted } = await start();
  const head = `POST ${MINT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${GOOD}\r\nContent-Type: application/json\r\n`;
  const chunk = `${(300_000).toString(16)}\r\n${" ".repeat(300_000)}\r\n`;
  const second = `POST ${MINT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${GOOD}\r\nContent-Type: application/json\r\nContent-Length: 19\r\nConnection: close\r\n\r\n{"subject":"second"}`;
  const answer = await exchange(port, `${head}Transfer-Encoding: chunked\r\n\r\n`, chunk, chunk, chunk, chunk, second);
  expect(answer).toMatch(/^HTTP\/1\.1 429 /);
  expect(answer.toLowerCase()).toContain("connection: close");
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(minted).toEqual([]);
});

test.each(TRANSPORTS)("%s: an answer over 4 MiB is refused instead of sent", async (_name, make) => {
  const { url } = await start();
  const tokens = createClient(TokenService, make(url));
  await expect(tokens.mintToken({ subject: "huge" }, AS_KEY)).rejects.toMatchObject({ code: Code.ResourceExhausted });
  expect(await tokens.mintToken({ subject: "alice" }, AS_KEY)).toMatchObject({ accessToken: "token of alice" });
});

test("a body refused before it was read closes its connection", async () => {
  const { port } = await start();
  const head = `POST ${MINT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  const answer = await exchange(port, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"sub`);
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
});

test("compressed requests are refused and answers are not compressed", async () => {
  const { post } = await start();
  expect((await post(MINT, "x", { authorization: GOOD, "content-encoding": "gzip" })).status).toBe(501);
  const answer = await post(
    MINT,
    { subject: "a".repeat(5_000) },
    { authorization: GOOD, "accept-encoding": "gzip, br" },
  );
  expect(answer.headers.get("content-encoding")).toBeNull();
});

test("every answer forbids sniffing, framing and caching; none has a CORS header", async () => {
  const { url, post } = await start();
  const preflight = { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" };
  const answers = await Promise.all([
    post(MINT, { subject: "alice" }, { authorization: GOOD, origin: "https://evil.example" }),
    post(MINT, {}, {}),
    fetch(`${url}/nothing`),
    fetch(`${url}${MINT}`, { method: "OPTIONS", headers: preflight }),
  ]);
  for (const { headers } of answers) {
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("cache-control")).toBe("no-store");
    expect([...headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  }
});

test("a request under a foreign host name gets nothing: DNS rebinding", async () => {
  const { port, minted } = await start();
  const under = (host: string): Promise<string> =>
    exchange(
      port,
      `POST ${MINT} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nAuthorization: ${GOOD}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
  expect(await under("evil.example")).toMatch(/^HTTP\/1\.1 421 /);
  expect(await under(`evil.example:${port}`)).toMatch(/^HTTP\/1\.1 421 /);
  expect(minted).toEqual([]);
  for (const host of ["localhost", `127.0.0.1:${port}`, "[::1]:80", "api.example"])
    expect(await under(host)).toMatch(/^HTTP\/1\.1 200 /);
});

test.each(["[", "a b", "a/b", "a@b", "%zz", "", "a:b:c", "[::1", "a:99999999"])(
  "Host %j is refused and the process lives: connect-node throws at such a host",
  async (host) => {
    const { port, post } = await start();
    const answer = await exchange(port, `POST ${MINT} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await post(MINT, { subject: "alice" })).status).toBe(200);
  },
);

test("HTTP/1.0 without Host is refused and the process lives", async () => {
  const { port, post } = await start();
  expect(await exchange(port, `POST ${MINT} HTTP/1.0\r\nContent-Length: 0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
  expect((await post(MINT, { subject: "alice" })).status).toBe(200);
});

test("plain routes are asked in order; their failures are problem+json without inner texts", async () => {
  const { url } = await start({
    routes: [
      async ({ path }) =>
        path === "/a" ? { status: 200, headers: { "Content-Type": "text/plain" }, body: "first" } : undefined,
      async ({ path, method, body }) =>
        path === "/echo" ? { status: 200, headers: {}, body: `${method} ${await body()}` } : undefined,
      async ({ path }) => {
        if (path === "/known") throw new ConduitError("resource_not_found");
        if (path === "/crash") throw new Error("password=hunter2");
        return undefined;
      },
    ],
  });
  expect(await (await fetch(`${url}/a?x=1`)).text()).toBe("first");
  expect((await fetch(`${url}/a`, { method: "HEAD" })).status).toBe(200);
  expect(await (await fetch(`${url}/echo`, { method: "POST", body: "hello" })).text()).toBe("POST hello");
  expect((await fetch(`${url}/echo`, { method: "POST", body: "x".repeat(65_537) })).status).toBe(413);
  expect(await (await fetch(`${url}/known`)).json()).toMatchObject({ code: "resource_not_found", status: 404 });
  const crash = await fetch(`${url}/crash`);
  expect([crash.status, (await crash.text()).includes("hunter2")]).toEqual([500, false]);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
});

test("a unary call ends at the client's deadline even if nothing answers", async () => {
  const { url } = await start();
  const tokens = createClient(TokenService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const call = tokens.mintToken({ subject: "wait" }, { ...AS_KEY, timeoutMs: 100 });
  await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
});

test("drain ends streams with UNAVAILABLE, lets unary calls finish and closes idle connections", async () => {
  const { url, port, listener, release, minted } = await start();
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
  const stream = createClient(ConfigService, transport).watchConfig({}, AS_KEY)[Symbol.asyncIterator]();
  await stream.next();
  await stream.next();
  const held = createClient(TokenService, transport).mintToken({ subject: "hold" }, AS_KEY);
  await until("the call", () => minted[0]);
  const idle = connect(port, "127.0.0.1");
  await once(idle, "connect");
  const drained = listener.drain();
  await expect(stream.next()).rejects.toMatchObject({ code: Code.Unavailable });
  await expect(fetch(`${url}/nothing`)).rejects.toThrow();
  release();
  expect(await held).toMatchObject({ accessToken: "token of hold" });
  idle.resume();
  await once(idle, "close");
  await drained;
});
