// promises.md S1-S3: every spelling of a request's framing, by hand over raw sockets. Scored on the upstream's bytes.
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { credentialLines, LINK_ID, rawExchange, startProxy, statusesOf } from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const P = `/${LINK_ID}`;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST = "Host: proxy.example\r\n";
const C = credentialLines();
const CLOSE = "Connection: close\r\n";
/** Lines the proxy adds to each request that is forwarded. */
const OWN_LINE = /^(?:host|connection|x-api-key|x-user-id|x-request-id|via): /i;

/** What went in, and what the upstream saw: its lines less the proxy's own, joined with `|`; undefined = nothing. */
type Row = readonly [what: string, request: string, seen: string | undefined, status: number];

const get = (line: string, lines = ""): string => `${line}\r\n${HOST}${C}${CLOSE}${lines}\r\n`;
const post = (lines: string, body = ""): string => `POST ${P}/ HTTP/1.1\r\n${HOST}${C}${CLOSE}${lines}\r\n${body}`;
const chunked = (body: string, spelling = "Transfer-Encoding: chunked"): string => post(`${spelling}\r\n`, body);
const sized = (line: string): string => post(`${line}\r\n`, "hi");
const HI = "2\r\nhi\r\n0\r\n\r\n";
const CHUNKED_HI = "POST / HTTP/1.1|transfer-encoding: chunked||2|hi|0||";
const SIZED_HI = "POST / HTTP/1.1|content-length: 2||hi";
const PLAIN = "GET / HTTP/1.1||";

const REQUEST_LINES: readonly Row[] = [
  ["plain", get(`GET ${P}/ HTTP/1.1`), PLAIN, 200],
  ["empty lines before", `\r\n\r\n${get(`GET ${P}/ HTTP/1.1`)}`, PLAIN, 200],
  ["HTTP/1.0", get(`GET ${P}/ HTTP/1.0`), PLAIN, 200],
  ["HTTP/0.9", get(`GET ${P}/ HTTP/0.9`), undefined, 400],
  ["HTTP/1.2", get(`GET ${P}/ HTTP/1.2`), undefined, 400],
  ["HTTP/2.0", get(`GET ${P}/ HTTP/2.0`), undefined, 400],
  ["HTTP/3.0", get(`GET ${P}/ HTTP/3.0`), undefined, 400],
  ["http/1.1", get(`GET ${P}/ http/1.1`), undefined, 400],
  ["no version", `GET ${P}/\r\n\r\n`, undefined, 400],
  ["version cut short", get(`GET ${P}/ HTTP/1`), undefined, 400],
  ["a space after the version", get(`GET ${P}/ HTTP/1.1 `), undefined, 400],
  ["tabs between the parts", get(`GET\t${P}/\tHTTP/1.1`), undefined, 400],
  ["a space in the target", get(`GET ${P}/a b HTTP/1.1`), undefined, 400],
  ["LF line ends", `GET ${P}/ HTTP/1.1\nHost: a\n${C}\n`, undefined, 400],
  ["a CR at the end of a value", get(`GET ${P}/ HTTP/1.1`, "X: a\r\r\n"), undefined, 400],
  ["an RTSP method", get(`DESCRIBE ${P}/ RTSP/1.0`), undefined, 501],
  ["an ICE method", get(`SOURCE ${P}/ HTTP/1.1`), undefined, 501],
  ["an ICE version", get(`GET ${P}/ ICE/1.0`), undefined, 400],
  ["a lower-case method", get(`get ${P}/ HTTP/1.1`), undefined, 400],
  ["QUERY", get(`QUERY ${P}/ HTTP/1.1`), "QUERY / HTTP/1.1|content-length: 0||", 200],
  ["a method with a hyphen", get(`M-SEARCH ${P}/ HTTP/1.1`), "M-SEARCH / HTTP/1.1||", 200],
  ["an absolute target", get(`GET http://a.example:80${P}/x HTTP/1.1`), "GET /x HTTP/1.1||", 200],
  ["an absolute target in upper case", get(`GET HTTP://A.EXAMPLE${P}/x HTTP/1.1`), "GET /x HTTP/1.1||", 200],
  ["an absolute target without authority", get(`GET http://${P}/ HTTP/1.1`), undefined, 400],
  ["an absolute target without slashes", get(`GET http:${P}/ HTTP/1.1`), undefined, 400],
  ["an absolute target with a backslash", get(`GET http://a\\b${P}/ HTTP/1.1`), undefined, 400],
  ["another scheme", get(`GET ftp://a.example${P}/ HTTP/1.1`), undefined, 400],
  ["an authority before the link", get(`GET /${P}/ HTTP/1.1`), undefined, 404],
  ["a port without digits", `GET ${P}/ HTTP/1.1\r\nHost: a:\r\n${C}${CLOSE}\r\n`, undefined, 400],
  ["spaces around Host", `GET ${P}/ HTTP/1.1\r\nHost:  a.example \r\n${C}${CLOSE}\r\n`, PLAIN, 200],
];

const HEADERS: readonly Row[] = [
  ["no colon", get(`GET ${P}/ HTTP/1.1`, "nonsense\r\n"), undefined, 400],
  ["no name", get(`GET ${P}/ HTTP/1.1`, ": x\r\n"), undefined, 400],
  ["a fold before the first line", `GET ${P}/ HTTP/1.1\r\n X: y\r\n${HOST}${C}\r\n`, undefined, 400],
  ["a control in a value", get(`GET ${P}/ HTTP/1.1`, "X: a\x01b\r\n"), undefined, 400],
  ["DEL in a value", get(`GET ${P}/ HTTP/1.1`, "X: a\x7fb\r\n"), undefined, 400],
  ["a parenthesis in a name", get(`GET ${P}/ HTTP/1.1`, "X(a): b\r\n"), undefined, 400],
  ["a byte above ASCII in a name", get(`GET ${P}/ HTTP/1.1`, "X\xe9: b\r\n"), undefined, 400],
  ["a byte above ASCII in a value", get(`GET ${P}/ HTTP/1.1`, "X: \xe9\r\n"), "GET / HTTP/1.1|X: \xe9||", 200],
  ["an empty value", get(`GET ${P}/ HTTP/1.1`, "X:\r\n"), "GET / HTTP/1.1|X: ||", 200],
  ["tabs around a value", get(`GET ${P}/ HTTP/1.1`, "X:\t a\tb \t\r\n"), "GET / HTTP/1.1|X: a\tb||", 200],
  [
    "every token character",
    get(`GET ${P}/ HTTP/1.1`, "!#$%&'*+-.^_`|~: 1\r\n"),
    "GET / HTTP/1.1|!#$%&'*+-.^_`|~: 1||",
    200,
  ],
  ["TE", get(`GET ${P}/ HTTP/1.1`, "TE: trailers\r\nConnection: TE\r\n"), PLAIN, 200],
  ["h2c settings without upgrade", get(`GET ${P}/ HTTP/1.1`, "HTTP2-Settings: x\r\n"), PLAIN, 200],
  [
    "Connection that lists framing",
    get(`GET ${P}/ HTTP/1.1`, "Connection: host, authorization, x-access-token\r\n"),
    PLAIN,
    200,
  ],
];

const LENGTHS: readonly Row[] = [
  ["two digits", sized("Content-Length: 2"), SIZED_HI, 200],
  ["leading zeros", sized("Content-Length: 0002"), SIZED_HI, 200],
  ["an underscore in the name", sized("Content_Length: 7\r\nContent-Length: 2"), SIZED_HI, 200],
  ["a coding with an underscore", sized("Transfer_Encoding: chunked\r\nContent-Length: 2"), SIZED_HI, 200],
  ["a list of equal ones", sized("Content-Length: 2, 2"), undefined, 400],
  ["two equal lines", sized("Content-Length: 2\r\nContent-Length: 2"), undefined, 400],
  ["two lines, one empty", sized("Content-Length: 2\r\nContent-Length:"), undefined, 400],
  ["hexadecimal", sized("Content-Length: 0x2"), undefined, 400],
  ["an underscore", sized("Content-Length: 2_0"), undefined, 400],
  ["negative", sized("Content-Length: -1"), undefined, 400],
  ["nothing", sized("Content-Length:"), undefined, 400],
  ["a space within", sized("Content-Length: 2 0"), undefined, 400],
  ["a decimal point", sized("Content-Length: 2.0"), undefined, 400],
  ["a space before the colon", sized("Content-Length : 2"), undefined, 400],
  ["two to the 64th and one", sized("Content-Length: 18446744073709551617"), undefined, 400],
  ["a length of 23 digits", sized("Content-Length: 99999999999999999999999"), undefined, 400],
  ["identity beside a length", sized("Transfer-Encoding: identity\r\nContent-Length: 2"), undefined, 400],
  [
    "GET with a length",
    post("Content-Length: 2\r\n", "hi").replace("POST", "GET"),
    SIZED_HI.replace("POST", "GET"),
    200,
  ],
  ["GET with chunks", chunked(HI).replace("POST", "GET"), CHUNKED_HI.replace("POST", "GET"), 200],
];

const CHUNKS: readonly Row[] = [
  ["chunked", chunked(HI), CHUNKED_HI, 200],
  ["Chunked", chunked(HI, "Transfer-Encoding: Chunked"), CHUNKED_HI, 200],
  ["a tab before it", chunked(HI, "Transfer-Encoding:\tchunked"), CHUNKED_HI, 200],
  ["extensions", chunked("2;a=b\r\nhi\r\n0;x\r\n\r\n"), CHUNKED_HI, 200],
  ["many zeros", chunked("00000000000000000002\r\nhi\r\n0\r\n\r\n"), CHUNKED_HI, 200],
  ["trailers", chunked("2\r\nhi\r\n0\r\nX-User-ID: evil\r\nX-API-Key: evil\r\n\r\n"), CHUNKED_HI, 200],
  ["chunked twice", chunked(HI, "Transfer-Encoding: chunked, chunked"), undefined, 400],
  ["chunked on two lines", chunked(HI, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), undefined, 400],
  ["chunked, then identity", chunked(HI, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), undefined, 400],
  ["xchunked", chunked(HI, "Transfer-Encoding: xchunked"), undefined, 501],
  ["quoted", chunked(HI, 'Transfer-Encoding: "chunked"'), undefined, 501],
  ["with a parameter", chunked(HI, "Transfer-Encoding: chunked;q=1"), undefined, 501],
  ["after a comma", chunked(HI, "Transfer-Encoding: ,chunked"), undefined, 501],
  ["gzip, chunked", chunked(HI, "Transfer-Encoding: gzip, chunked"), undefined, 501],
  ["a vertical tab before it", chunked(HI, "Transfer-Encoding: \x0bchunked"), undefined, 400],
  ["no coding", chunked(HI, "Transfer-Encoding:"), undefined, 400],
  ["a space before the colon", chunked(HI, "Transfer-Encoding : chunked"), undefined, 400],
  ["folded", chunked(HI, "Transfer-Encoding:\r\n chunked"), undefined, 400],
  ["LF in an extension", chunked("2;a\nb\r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["LF after a size", chunked("2\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["LF after the data", chunked("2\r\nhi\n0\r\n\r\n"), undefined, 400],
  ["a prefix", chunked("0x2\r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["a sign", chunked("-2\r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["a space after the size", chunked("2 \r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["a size over 64 bits", chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["no size", chunked("\r\nhi\r\n0\r\n\r\n"), undefined, 400],
  ["data longer than its size", chunked("2\r\nhiX\r\n0\r\n\r\n"), undefined, 400],
  ["a folded trailer", chunked("2\r\nhi\r\n0\r\nX: a\r\n b\r\n\r\n"), undefined, 400],
  ["a length in a trailer", chunked("2\r\nhi\r\n0\r\nContent-Length: 3\r\n\r\n"), undefined, 400],
];

const EXPECTATIONS: readonly Row[] = [
  ["of HTTP/1.0", post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi").replace("1.1", "1.0"), SIZED_HI, 200],
  ["without a body", get(`GET ${P}/ HTTP/1.1`, "Expect: 100-continue\r\n"), PLAIN, 200],
  ["twice", sized("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2"), undefined, 400],
  ["one of two", sized("Expect: 100-continue, other\r\nContent-Length: 2"), undefined, 400],
  ["another", sized("Expect: 202-accepted\r\nContent-Length: 2"), undefined, 400],
];

/** The proxy lingers after a refusal, so that who is still sending can read it; who has read it may go. */
function leaveWhenRefused(socket: Socket): void {
  socket.on("data", (chunk) => {
    if (chunk.at(-1) === "}".charCodeAt(0)) socket.destroy();
  });
}

async function judge(rows: readonly Row[]) {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const proxy = await startProxy({ baseUrl: upstream.url });
  const outcomes: Row[] = [];
  for (const [what, request] of rows) {
    const before = upstream.packets.length;
    const answer = await rawExchange(proxy.port, Buffer.from(request, "latin1"), leaveWhenRefused);
    const text = upstream.packets.slice(before).join("");
    const lines = text.split("\r\n").filter((line) => !OWN_LINE.test(line));
    // A body that turns out broken may have had its head sent; its end never is, and that is what counts.
    const isWhole = text !== "" && (!/transfer-encoding/.test(text) || text.endsWith("0\r\n\r\n"));
    outcomes.push([what, request, isWhole ? lines.join("|") : undefined, statusesOf(answer)[0] ?? 0]);
  }
  return outcomes;
}

describe.each([
  ["S2: request lines and Host", REQUEST_LINES],
  ["S2: header lines", HEADERS],
  ["S2: lengths", LENGTHS],
  ["S2: chunks and transfer codings", CHUNKS],
  ["S2: expectations", EXPECTATIONS],
])("%s", (_what, rows) => {
  test("have one reading, or none", async () => {
    expect(await judge(rows)).toEqual(rows);
  });
});

describe("S1: the cap counts what arrives", () => {
  const head = `GET ${P}/ HTTP/1.1\r\n${HOST}${C}${CLOSE}`;
  const linesSoFar = head.split("\r\n").length - 2;
  const judgeHead = async (lines: string) => {
    const upstream = await startRawUpstream((socket) => void socket.write(OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const answer = await rawExchange(proxy.port, `${head}${lines}\r\n`);
    const [seen = ""] = upstream.requests;
    return { status: statusesOf(answer), isClosed: /^connection: close\r$/im.test(answer), seen };
  };

  test("200 lines pass, and each of them arrives", async () => {
    const { status, seen } = await judgeHead("a: b\r\n".repeat(200 - linesSoFar));
    expect(status).toEqual([200]);
    expect(seen.match(/^a: b\r$/gm)).toHaveLength(200 - linesSoFar);
  });

  test.each([201, 500, 2001, 5000])("%d lines are 431, and the connection closes", async (count) => {
    const outcome = await judgeHead("a:\r\n".repeat(count - linesSoFar));
    expect(outcome).toEqual({ status: [431], isClosed: true, seen: "" });
  });

  test.each([
    [32_000, 200],
    [32_768, 200],
    [32_769, 431],
    [65_536, 431],
  ])("a head of %d bytes is %d", async (bytes, status) => {
    const outcome = await judgeHead(`X: ${"a".repeat(bytes - head.length - 7)}\r\n`);
    expect([outcome.status, outcome.seen === ""]).toEqual([[status], status !== 200]);
  });

  test("a length behind the cap never frames a body that is taken for a request", async () => {
    const evil = `GET ${P}/evil HTTP/1.1\r\n${HOST}${C}\r\n`;
    const upstream = await startRawUpstream((socket) => void socket.write(OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const lines = `${"a:\r\n".repeat(2500)}Content-Length: ${evil.length}\r\n\r\n${evil}`;
    expect(statusesOf(await rawExchange(proxy.port, `POST ${P}/ HTTP/1.1\r\n${HOST}${C}${lines}`))).toEqual([431]);
    expect(upstream.requests).toEqual([]);
  });
});

describe("S3: after an answer that closes, nothing is judged any more", () => {
  const next = `GET ${P}/next HTTP/1.1\r\n${HOST}${C}\r\n`;
  test.each([
    ["two Hosts", `GET ${P}/ HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
    ["TRACE", `TRACE ${P}/ HTTP/1.1\r\n${HOST}\r\n`, 501],
    ["too many lines", `GET ${P}/ HTTP/1.1\r\n${HOST}${"a: b\r\n".repeat(300)}\r\n`, 431],
    ["an unread chunked body", `POST ${P}/ HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 401],
    ["a client's own close", `GET ${P}/ HTTP/1.1\r\n${HOST}${CLOSE}\r\n`, 401],
  ])("%s", async (_what, request, status) => {
    const upstream = await startRawUpstream((socket) => void socket.write(OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const answer = await rawExchange(proxy.port, request + next + next);
    expect(statusesOf(answer)[0]).toBe(status);
    expect(upstream.requests).toEqual([]);
  });

  test("an ordinary refusal keeps the connection", async () => {
    const upstream = await startRawUpstream((socket) => void socket.write(OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const refused = `GET ${P}/ HTTP/1.1\r\n${HOST}\r\n`;
    const last = `GET ${P}/last HTTP/1.1\r\n${HOST}${C}${CLOSE}\r\n`;
    expect(statusesOf(await rawExchange(proxy.port, refused + next + refused + last))).toEqual([401, 200, 401, 200]);
    expect(upstream.requests).toHaveLength(2);
  });
});
