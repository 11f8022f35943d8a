// promises.md S4: whatever an upstream answers, the client gets that answer whole, a 502, or a visibly broken one; the
// next request gets its own answer.
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { credentialLines, LINK_ID, rawExchange, startProxy } from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const head = (lines: string, line = "HTTP/1.1 200 OK"): string => `${line}\r\n${lines}\r\n`;
const sized = (lines: string, line?: string): string => `${head(`${lines}Content-Length: 2\r\n`, line)}ok`;
const chunked = (body: string): string => `${head("Transfer-Encoding: chunked\r\n")}${body}`;
const INVALID = "502 upstream_invalid";
const BROKEN = "200 broken";

/** What the upstream answers, and what the client gets: status and body, the refusal's code, or `broken`. */
const ROWS: readonly (readonly [what: string, answer: string, outcome: string, method?: string])[] = [
  ["no reason phrase", sized("", "HTTP/1.1 200"), "200 ok"],
  ["a reason of other bytes", sized("", "HTTP/1.1 200 caf\xe9"), "200 ok"],
  ["empty lines before", `\r\n\r\n${OK}`, "200 ok"],
  ["status 0", sized("", "HTTP/1.1 000 X"), INVALID],
  ["status 0 alone", head("", "HTTP/1.1 000 X"), INVALID],
  ["status 99", sized("", "HTTP/1.1 099 X"), INVALID],
  ["status 600", sized("", "HTTP/1.1 600 X"), INVALID],
  ["status 999", sized("", "HTTP/1.1 999 X"), INVALID],
  ["a status of two digits", sized("", "HTTP/1.1 20 X"), INVALID],
  ["HTTP/2", sized("", "HTTP/2 200 OK"), INVALID],
  ["100 that nobody asked for", `${head("", "HTTP/1.1 100 Continue")}${OK}`, "200 ok"],
  ["100 with header lines, twice", `${head("A: b\r\n", "HTTP/1.1 100").repeat(2)}${OK}`, "200 ok"],
  ["100 after hints", `${head("", "HTTP/1.1 103 X")}${head("", "HTTP/1.1 100 Continue")}${OK}`, INVALID],
  ["100 with a bare line feed", `HTTP/1.1 100 X\nA: b\r\n\r\n${OK}`, INVALID],
  ["100 and nothing else", head("", "HTTP/1.1 100 Continue"), "504 upstream_timeout"],
  ["hints before", `${head("", "HTTP/1.1 103 X")}${OK}`, "200 ok"],
  ["an unknown interim answer", `${head("", "HTTP/1.1 199 X")}${OK}`, "200 ok"],
  ["2,000 interim answers", `${head("", "HTTP/1.1 103 X").repeat(2000)}${OK}`, "200 ok"],
  ["an interim answer with a body", `${sized("", "HTTP/1.1 103 X")}${OK}`, INVALID],
  ["101 without upgrade", `${head("", "HTTP/1.1 101 X")}${OK}`, INVALID],
  ["101 unasked", `${head("Connection: upgrade\r\nUpgrade: x\r\n", "HTTP/1.1 101 X")}${OK}`, INVALID],
  ["200 that offers an upgrade", sized("Connection: upgrade\r\nUpgrade: x\r\n"), "200 ok"],
  ["204 with a length", sized("", "HTTP/1.1 204 X"), "204 "],
  ["204 with chunks", `HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`, "204 "],
  ["304 with chunks", `HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`, "304 "],
  ["a chunked answer to HEAD", chunked("2\r\nok\r\n0\r\n\r\n"), "200 ", "HEAD"],
  ["a long answer to HEAD", OK + OK, "200 ", "HEAD"],
  ["identity", `${head("Transfer-Encoding: identity\r\n")}ok`, INVALID],
  ["chunked, then identity", `${head("Transfer-Encoding: chunked, identity\r\n")}ok`, INVALID],
  ["chunked twice", `${head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")}0\r\n\r\n`, INVALID],
  ["an empty coding", `${head("Transfer-Encoding:\r\n")}ok`, INVALID],
  ["CHUNKED", `${head("Transfer-Encoding: CHUNKED\r\n")}2\r\nok\r\n0\r\n\r\n`, "200 ok"],
  ["two equal lengths", sized("Content-Length: 2\r\n"), INVALID],
  ["a list of lengths", `${head("Content-Length: 2, 2\r\n")}ok`, INVALID],
  ["a negative length", `${head("Content-Length: -1\r\n")}ok`, INVALID],
  ["a signed length", `${head("Content-Length: +2\r\n")}ok`, INVALID],
  ["an empty length", `${head("Content-Length:\r\n")}ok`, INVALID],
  ["a length over 64 bits", `${head("Content-Length: 18446744073709551618\r\n")}ok`, INVALID],
  ["a space before a length's colon", `${head("Content-Length : 2\r\n")}ok`, INVALID],
  ["chunk extensions", chunked('2;a="b"\r\nok\r\n0\r\n\r\n'), "200 ok"],
  ["a chunk size over 64 bits", chunked("10000000000000002\r\nok\r\n0\r\n\r\n"), BROKEN],
  ["chunks ended by LF", chunked("2\nok\n0\n\n"), BROKEN],
  ["data longer than its chunk", chunked("2\r\nokX\r\n0\r\n\r\n"), BROKEN],
  ["trailers without end", chunked(`2\r\nok\r\n0\r\n${"a: b\r\n".repeat(20_000)}\r\n`), BROKEN],
  ["a folded line", sized("A: b\r\n c\r\n"), INVALID],
  ["a bare CR", sized("A: b\rc\r\n"), INVALID],
  ["a control in a value", sized("A: b\x01c\r\n"), INVALID],
  ["a space before a colon", sized("A : b\r\n"), INVALID],
  ["a name that is none", sized("A(b): c\r\n"), INVALID],
  ["names of JavaScript's own", sized("__proto__: a\r\nconstructor: b\r\nhasOwnProperty: c\r\n"), "200 ok"],
  ["bytes above ASCII in a value", sized("A: caf\xe9\r\n"), "200 ok"],
  ["a length after 3,000 lines", sized("a:\r\n".repeat(3000)), "200 ok"],
  ["a head over 32 KiB", sized(`a: ${"b".repeat(8)}\r\n`.repeat(6000)), INVALID],
  ["a keep-alive time that is none", sized("Keep-Alive: timeout=-99999999999999\r\n"), "200 ok"],
];

const OUTCOMES = ROWS.map(([what, , outcome]) => [what, outcome, "200 ok"]);

function outcomeOf(answer: string, isHead = false): string {
  const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? [];
  const code = /^X-Conduit-Error: (\S+)\r$/m.exec(answer)?.[1];
  if (code !== undefined) return `${status} ${code}`;
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  if (!/^Transfer-Encoding: chunked\r$/im.test(answer) || isHead) return `${status} ${body}`;
  const isWhole = body.endsWith("\r\n0\r\n\r\n") || body === "0\r\n\r\n";
  return `${status} ${isWhole ? body.replace(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, "").trimEnd() : "broken"}`;
}

const requestOf = (method: string): string =>
  `${method} /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}\r\n`;

test("S4: an upstream's answer reaches its own client whole, or visibly not", async () => {
  const seen: [string, string, string][] = [];
  for (const [what, answer, , method = "GET"] of ROWS) {
    const upstream = await startRawUpstream((socket, _request, index) => {
      socket.write(Buffer.from(index === 0 ? answer : OK, "latin1"));
    });
    const timeouts = { firstByteTimeoutMs: 500, idleTimeoutMs: 500 };
    const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: timeouts } });
    const first = outcomeOf(await rawExchange(proxy.port, requestOf(method)), method === "HEAD");
    seen.push([what, first, outcomeOf(await rawExchange(proxy.port, requestOf("GET")))]);
  }
  expect(seen).toEqual(OUTCOMES);
});

test("RFC 9110 15.2: a 100 that nobody asked for is ignored byte by byte, and on a connection used again", async () => {
  const continued = `${head("X: y\r\n", "HTTP/1.1 100 Continue")}${OK}`;
  const drip = (socket: Socket, text: string): void => {
    socket.write(text.slice(0, 1));
    if (text.length > 1) setImmediate(() => drip(socket, text.slice(1)));
  };
  const upstream = await startRawUpstream((socket, _request, index) => {
    if (index === 0) drip(socket, continued);
    else socket.write(continued);
  });
  const proxy = await startProxy({ baseUrl: upstream.url });
  for (let count = 0; count < 3; count += 1) {
    expect(outcomeOf(await rawExchange(proxy.port, requestOf("GET")))).toBe("200 ok");
  }
  expect(upstream.connections).toHaveLength(1);
});

test("S4: a body that looks like 100 Continue stays a body", async () => {
  const body = head("", "HTTP/1.1 100 Continue");
  const upstream = await startRawUpstream((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`, () => socket.write(body));
  });
  const proxy = await startProxy({ baseUrl: upstream.url });
  expect(await rawExchange(proxy.port, requestOf("GET"))).toMatch(/\r\n\r\nHTTP\/1\.1 100 Continue\r\n\r\n$/);
});

test("S4: bytes sent before any request are no answer", async () => {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const proxy = await startProxy({ baseUrl: upstream.url });
  const [, port = ""] = /:(\d+)$/.exec(upstream.url) ?? [];
  const probe = connect(Number(port), "127.0.0.1");
  await until("the probe connects", () => upstream.connections.length > 0 || undefined);
  probe.destroy();
  for (let count = 0; count < 20; count += 1) {
    const asked = rawExchange(proxy.port, requestOf("GET"));
    expect(outcomeOf(await asked)).toBe("200 ok");
    // Each answer leaves a second one behind on its connection.
    upstream.connections.at(-1)?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  }
});

test.each([
  ["a status line", "HTTP/1.1 200 "],
  ["a header", "HTTP/1.1 200 OK\r\nX: "],
  ["interim answers", "HTTP/1.1 103 X\r\n\r\n"],
])("S4: %s without end is cut within the first-byte timeout", async (_what, beginning) => {
  const upstream = await startRawUpstream((socket) => {
    socket.write(beginning);
    const more = beginning.endsWith("\n") ? beginning : "a";
    const drip = setInterval(() => socket.write(more), 10);
    socket.on("close", () => clearInterval(drip));
  });
  const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: { firstByteTimeoutMs: 200 } } });
  expect(outcomeOf(await rawExchange(proxy.port, requestOf("GET")))).toBe("504 upstream_timeout");
  await until("its connection is closed", () => upstream.connections[0]?.destroyed || undefined);
});
