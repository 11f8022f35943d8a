// promises.md S1, S2, S3, S5: what the parser and we must agree on, written by hand over raw sockets.
import { describe, expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { credentialLines, LINK_ID, rawExchange, startProxy, statusesOf } from "./harness.ts";

const HOST = "Host: proxy.example\r\n";
const CLOSE = "Connection: close\r\n";
const P = `/${LINK_ID}`;

/** Request, expected status, expected code. */
const REFUSED: readonly (readonly [string, string, number, string])[] = [
  ["no Host", `GET ${P}/ HTTP/1.1\r\n\r\n`, 400, "bad_request"],
  ["two Hosts", `GET ${P}/ HTTP/1.1\r\n${HOST}Host: other.example\r\n\r\n`, 400, "bad_request"],
  ["two equal Hosts", `GET ${P}/ HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400, "bad_request"],
  ["an empty Host", `GET ${P}/ HTTP/1.1\r\nHost:\r\n\r\n`, 400, "bad_request"],
  ["a Host with a path", `GET ${P}/ HTTP/1.1\r\nHost: a.example/x\r\n\r\n`, 400, "bad_request"],
  ["a Host with a user", `GET ${P}/ HTTP/1.1\r\nHost: u@a.example\r\n\r\n`, 400, "bad_request"],
  ["two hosts in one line", `GET ${P}/ HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n`, 400, "bad_request"],
  ["a fragment", `GET ${P}/a#b HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["raw UTF-8 in the target", `GET ${P}/ü HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["a raw control in the target", `GET ${P}/\x01 HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["NUL in a header", `GET ${P}/ HTTP/1.1\r\n${HOST}X-A: a\0b\r\n\r\n`, 400, "bad_request"],
  ["a bare CR in a header", `GET ${P}/ HTTP/1.1\r\n${HOST}X-A: a\rX-B: b\r\n\r\n`, 400, "bad_request"],
  ["a folded header", `GET ${P}/ HTTP/1.1\r\n${HOST}X-A: a\r\n b\r\n\r\n`, 400, "bad_request"],
  ["white space before a colon", `GET ${P}/ HTTP/1.1\r\n${HOST}X-A : a\r\n\r\n`, 400, "bad_request"],
  ["a target that is no path", `GET ${LINK_ID} HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["the asterisk", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["an absolute target with a user", `GET http://u@proxy.example${P}/ HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  ["TRACE", `TRACE ${P}/ HTTP/1.1\r\n${HOST}\r\n`, 501, "not_supported"],
  ["CONNECT", `CONNECT a.example:443 HTTP/1.1\r\n${HOST}\r\n`, 501, "not_supported"],
  ["an unknown method", `FROB ${P}/ HTTP/1.1\r\n${HOST}\r\n`, 400, "bad_request"],
  [
    "an upgrade to WebSocket",
    `GET ${P}/ HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    501,
    "not_supported",
  ],
  [
    "an upgrade to h2c",
    `GET ${P}/ HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    501,
    "not_supported",
  ],
  ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"],
  [
    "a chunked body in HTTP/1.0",
    `POST ${P}/ HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    "bad_request",
  ],
  [
    "both kinds of length",
    `POST ${P}/ HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    "bad_request",
  ],
  [
    "two lengths",
    `POST ${P}/ HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    400,
    "bad_request",
  ],
  ["a signed length", `POST ${P}/ HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`, 400, "bad_request"],
  [
    "an unknown transfer coding",
    `POST ${P}/ HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    501,
    "not_supported",
  ],
  [
    "a coding after chunked",
    `POST ${P}/ HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    400,
    "bad_request",
  ],
  [
    "another expectation",
    `POST ${P}/ HTTP/1.1\r\n${HOST}Expect: 200-ok\r\nContent-Length: 2\r\n\r\nhi`,
    400,
    "bad_request",
  ],
  ["a target over 8 KiB", `GET ${P}/${"a".repeat(8200)} HTTP/1.1\r\n${HOST}\r\n`, 414, "target_too_long"],
  ["a target over 32 KiB", `GET ${P}/${"a".repeat(40_000)} HTTP/1.1\r\n${HOST}\r\n`, 414, "target_too_long"],
  ["a head over 32 KiB", `GET ${P}/ HTTP/1.1\r\n${HOST}X-Big: ${"a".repeat(40_000)}\r\n\r\n`, 431, "head_too_large"],
  ["201 header lines", `GET ${P}/ HTTP/1.1\r\n${HOST}${"a: b\r\n".repeat(200)}\r\n`, 431, "head_too_large"],
  [
    "3,000 header lines with the length last",
    `POST ${P}/ HTTP/1.1\r\n${HOST}${"a:\r\n".repeat(3000)}Content-Length: 30\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n`,
    431,
    "head_too_large",
  ],
];

describe("refused, with a body that says so, and nothing reaches the upstream", () => {
  test.each(REFUSED)("%s", async (_what, request, status, code) => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, link: { linkTokenMode: "REQUIRED" } });
    const answer = await rawExchange(proxy.port, request);
    expect(statusesOf(answer)).toEqual([status]);
    expect(answer).toContain(`X-Conduit-Error: ${code}`);
    expect(answer).toContain("application/problem+json");
    expect(answer).toContain("Access-Control-Allow-Origin: *");
    expect(answer).toMatch(/^X-Request-ID: \S+\r$/m);
    expect(upstream.requests).toEqual([]);
  });
});

test("200 header lines pass", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url });
  const lines = "a: b\r\n".repeat(196);
  const answer = await rawExchange(proxy.port, `GET ${P}/ HTTP/1.1\r\n${HOST}${CLOSE}${credentialLines()}${lines}\r\n`);
  expect(statusesOf(answer)).toEqual([200]);
});

test("the authority of an absolute target replaces Host", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, link: { sendForwarded: true } });
  const request = `GET http://real.example${P}/x?y HTTP/1.1\r\n${HOST}${CLOSE}${credentialLines()}\r\n`;
  expect(statusesOf(await rawExchange(proxy.port, request))).toEqual([200]);
  expect(upstream.requests[0]?.target).toBe("/x?y");
  expect(upstream.requests[0]?.header("forwarded")).toEqual(["for=127.0.0.1;host=real.example;proto=http"]);
});

describe("early refusals", () => {
  const evil = `GET ${P}/evil HTTP/1.1\r\n${HOST}${CLOSE}${credentialLines()}\r\n`;

  test("a small unread body is drained and the connection serves the next request", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    const refused = `POST ${P}/a HTTP/1.1\r\n${HOST}Content-Length: ${evil.length}\r\n\r\n${evil}`;
    const next = `GET ${P}/b HTTP/1.1\r\n${HOST}${CLOSE}${credentialLines()}\r\n`;
    const answer = await rawExchange(proxy.port, refused + next);
    expect(statusesOf(answer)).toEqual([401, 200]);
    expect(upstream.requests.map(({ target }) => target)).toEqual(["/b"]);
  });

  test("a chunked unread body closes the connection: its bytes are never a request", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    const chunk = `${evil.length.toString(16)}\r\n${evil}\r\n0\r\n\r\n`;
    const refused = `POST ${P}/a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${chunk}`;
    const answer = await rawExchange(proxy.port, refused + evil);
    expect(statusesOf(answer)).toEqual([401]);
    expect(answer).toMatch(/^Connection: close\r$/im);
    expect(upstream.requests).toEqual([]);
  });

  test("a client that sends a large body without pause still gets its refusal", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    const head = `POST ${P}/a HTTP/1.1\r\n${HOST}Content-Length: 9000000\r\n\r\n`;
    const answer = await rawExchange(proxy.port, head, (socket) => socket.write(Buffer.alloc(200_000)));
    expect(statusesOf(answer)).toEqual([401]);
    expect(upstream.connections).toBe(0);
  });

  test("100 Continue comes only after the verdict", async () => {
    await using upstream = await startHttpServer((request) => ({ body: request.body }));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const expecting = `POST ${P}/a HTTP/1.1\r\n${HOST}${CLOSE}Expect: 100-continue\r\nContent-Length: 5\r\n`;
    expect(statusesOf(await rawExchange(proxy.port, `${expecting}\r\n`))).toEqual([401]);
    const allowed = await rawExchange(proxy.port, `${expecting}${credentialLines()}\r\n`, (socket) => {
      socket.once("data", () => socket.write("hello"));
    });
    expect(statusesOf(allowed)).toEqual([100, 200]);
    expect(allowed.endsWith("hello\r\n0\r\n\r\n") || allowed.endsWith("hello")).toBe(true);
  });
});

describe("pipelined requests", () => {
  test("are judged one by one", async () => {
    await using upstream = await startHttpServer((request) => ({ body: request.target }));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const good = (path: string) => `GET ${P}${path} HTTP/1.1\r\n${HOST}${credentialLines()}\r\n`;
    const bad = `GET ${P}/secret HTTP/1.1\r\n${HOST}\r\n`;
    const last = `GET ${P}/c HTTP/1.1\r\n${HOST}${CLOSE}${credentialLines()}\r\n`;
    const answer = await rawExchange(proxy.port, good("/a") + bad + good("/b") + last);
    expect(statusesOf(answer)).toEqual([200, 401, 200, 200]);
    expect(upstream.requests.map(({ target }) => target).sort()).toEqual(["/a", "/b", "/c"]);
  });

  test("nonsense after a request is refused after its answer", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    const good = `GET ${P}/a HTTP/1.1\r\n${HOST}${credentialLines()}\r\n`;
    const answer = await rawExchange(proxy.port, `${good}\x00\x01 nonsense\r\n\r\n`);
    expect(statusesOf(answer)).toEqual([200, 400]);
  });

  test("broken chunks in a body end its request with 400", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url });
    const head = `POST ${P}/a HTTP/1.1\r\n${HOST}${credentialLines()}Transfer-Encoding: chunked\r\n\r\n`;
    const answer = await rawExchange(proxy.port, `${head}3\r\nabc\r\nzz\r\n`);
    expect(statusesOf(answer)).toEqual([400]);
    expect(upstream.requests).toEqual([]);
  });
});

test("a head that does not arrive in time is answered with 408", async () => {
  await using upstream = await startHttpServer();
  const times = { headersTimeout: 100, connectionsCheckingInterval: 50 };
  const proxy = await startProxy({ baseUrl: upstream.url, serverOptions: times });
  const answer = await rawExchange(proxy.port, `GET ${P}/ HTTP/1.1\r\n`);
  expect(statusesOf(answer)).toEqual([408]);
  expect(answer).toContain("X-Conduit-Error: request_timeout");
});

test("a body that stops arriving is answered with 408", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, bodyIdleMs: 100 });
  const head = `POST ${P}/a HTTP/1.1\r\n${HOST}${credentialLines()}Content-Length: 10\r\n\r\nabc`;
  const answer = await rawExchange(proxy.port, head);
  expect(statusesOf(answer)).toEqual([408]);
  expect(upstream.requests).toEqual([]);
});
