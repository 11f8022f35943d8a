// promises.md S5: WebSockets through the proxy, with a client and a server nobody here wrote.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { systemClock } from "../../../server/src/clock.ts";
import { until } from "../../support/until.ts";
import {
  credentialLines,
  HIDDEN_KEY,
  LINK_ID,
  LINK_TOKEN,
  type LinkChanges,
  linkOf,
  linkTokenOf,
  type ProxyOptions,
  rawExchange,
  startProxy,
  statusesOf,
  userToken,
} from "../harness.ts";
import { startRawUpstream } from "../raw-upstream.ts";

interface EchoUpstream {
  readonly url: string;
  /** Raw header lines of the handshakes. */
  readonly handshakes: string[][];
  readonly targets: string[];
  readonly sockets: Set<WebSocket>;
  /** Close codes that its sockets saw. */
  readonly closeCodes: number[];
}

/** Sends every message back; selects the first subprotocol that is not `none`. */
async function startEcho(options: { maxPayload?: number } = {}): Promise<EchoUpstream> {
  const server = createServer();
  const select = (offers: Set<string>) => [...offers].find((offer) => offer !== "none") ?? false;
  const sockets = new WebSocketServer({ server, handleProtocols: select, perMessageDeflate: true, ...options });
  const upstream = { handshakes: [] as string[][], targets: [] as string[], closeCodes: [] as number[] };
  sockets.on("connection", (socket, request) => {
    upstream.handshakes.push(request.rawHeaders);
    upstream.targets.push(request.url ?? "");
    socket.on("message", (data: RawData, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("close", (code) => upstream.closeCodes.push(code));
    socket.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets: sockets.clients, ...upstream };
}

const HEADERS = () => ({ "x-access-token": LINK_TOKEN, authorization: `Bearer ${userToken()}` });

async function startWebSocketProxy(baseUrl: string, link: LinkChanges = {}, options: Partial<ProxyOptions> = {}) {
  const proxy = await startProxy({ baseUrl, link: { allowWebsocket: true, ...link }, ...options });
  const open = (path = "/socket", protocols: string[] = [], headers: Record<string, string> = HEADERS()) => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/${LINK_ID}${path}`, protocols, { headers });
    socket.on("error", () => undefined);
    onTestFinished(() => socket.terminate());
    return socket;
  };
  return { proxy, open };
}

async function closeOf(socket: WebSocket): Promise<[code: number, reason: string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
}

/** Status of a handshake that is refused. */
async function refusalOf(socket: WebSocket): Promise<[status: number, code: string | undefined]> {
  const [, response] = await once(socket, "unexpected-response");
  return [response.statusCode, response.headers["x-conduit-error"]];
}

describe("S5: a link that allows WebSockets", () => {
  test("carries messages of every kind and size both ways, with the hidden key and without the client's tokens", async () => {
    const upstream = await startEcho();
    const { open } = await startWebSocketProxy(`${upstream.url}/base`);
    const socket = open("/socket?room=1");
    await once(socket, "open");
    const messages = [
      "",
      "hello",
      "é".repeat(40_000),
      Buffer.alloc(0),
      Buffer.alloc(125, 1),
      Buffer.alloc(3_000_000, 2),
    ];
    for (const message of messages) {
      socket.send(message);
      const [echo, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
      expect([isBinary, echo.equals(Buffer.from(message))]).toEqual([typeof message !== "string", true]);
    }
    const pong = once(socket, "pong");
    socket.ping();
    await pong;
    expect(upstream.targets).toEqual(["/base/socket?room=1"]);
    const [lines = []] = upstream.handshakes;
    const text = lines.join("\n");
    expect(text).toContain(HIDDEN_KEY);
    expect(text).toContain("X-User-ID\nuser-1");
    expect(text).not.toContain(LINK_TOKEN);
    expect(text).not.toMatch(/bearer/i);
    socket.close(4321, "bye");
    expect(await closeOf(socket)).toEqual([4321, "bye"]);
    expect(upstream.closeCodes).toEqual([4321]);
  });

  test("takes both tokens from subprotocols, and none of ours reaches the upstream, the log or the answer", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const token = userToken();
    const ours = ["conduit.v1", `conduit.link.${LINK_TOKEN}`, `conduit.jwt.${token}`];
    const plain = open("/a", ours, {});
    await once(plain, "open");
    expect(plain.protocol).toBe("conduit.v1");
    const chosen = open("/b", ["none", ...ours, "chat.v2"], {});
    await once(chosen, "open");
    expect(chosen.protocol).toBe("chat.v2");
    const seen = upstream.handshakes.map((lines) => lines.join("\n"));
    expect(seen[0]).not.toMatch(/sec-websocket-protocol/i);
    expect(seen[1]).toContain("Sec-WebSocket-Protocol\nnone, chat.v2");
    plain.close();
    chosen.close();
    await until("both are recorded", () => proxy.logLines.length >= 2 || undefined);
    for (const text of [...seen, ...proxy.logLines]) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(LINK_TOKEN);
      expect(text).not.toMatch(/conduit\.(?:link|jwt)/);
    }
  });

  test.each([
    ["no user token", { "x-access-token": LINK_TOKEN }, [], 401, "token_missing"],
    ["no link token", {}, [`conduit.jwt.${userToken()}`], 401, "link_token_missing"],
    ["two user tokens", HEADERS(), [`conduit.jwt.${userToken({ sub: "other" })}`], 401, "token_ambiguous"],
    ["a path that no rule allows", HEADERS(), [], 403, "rule_denied"],
  ])("%s: the handshake is refused like any request", async (_what, headers, protocols, status, code) => {
    const upstream = await startEcho();
    const rules = [{ effect: "ALLOW" as const, methods: [], path: "/ok", query: {}, claims: [], message: "" }];
    const { open } = await startWebSocketProxy(upstream.url, { rules });
    const expected = code === "token_ambiguous" ? [400, code] : [status, code];
    expect(await refusalOf(open("/other", protocols, headers as Record<string, string>))).toEqual(expected);
    expect(upstream.handshakes).toEqual([]);
  });

  test("checks Origin as for CORS, since browsers do not", async () => {
    const upstream = await startEcho();
    const cors = { origins: ["https://app.example"], headers: [], credentials: false };
    const { open } = await startWebSocketProxy(upstream.url, { cors });
    const from = (origin: string) => open("/x", [], { ...HEADERS(), origin });
    expect(await refusalOf(from("https://evil.example"))).toEqual([403, "origin_denied"]);
    expect(await refusalOf(from("null"))).toEqual([403, "origin_denied"]);
    expect(upstream.handshakes).toEqual([]);
    await once(from("https://app.example"), "open");
    await once(open(), "open");
  });

  test("enforces the origins and addresses of a link token", async () => {
    const upstream = await startEcho();
    const tokens = [
      linkTokenOf(LINK_TOKEN, { allowedOrigins: ["https://app.example"], allowedAddresses: ["127.0.0.1"] }),
    ];
    const { open } = await startWebSocketProxy(upstream.url, {}, { tokens });
    expect(await refusalOf(open())).toEqual([403, "origin_denied"]);
    await once(open("/x", [], { ...HEADERS(), origin: "https://app.example" }), "open");
  });

  test("passes an upstream's refusal on", async () => {
    const upstream = await startRawUpstream(
      (socket) => void socket.end("HTTP/1.1 426 No\r\nContent-Length: 2\r\n\r\nno"),
    );
    const { open } = await startWebSocketProxy(upstream.url);
    expect(await refusalOf(open())).toEqual([426, undefined]);
  });

  test.each([
    [
      "a wrong accept",
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
    ],
    ["no accept", "Upgrade: websocket\r\nConnection: Upgrade\r\n"],
    ["another protocol", "Upgrade: h2c\r\nConnection: Upgrade\r\n"],
  ])("an upstream's 101 with %s is 502", async (_what, lines) => {
    const upstream = await startRawUpstream((socket) => void socket.write(`HTTP/1.1 101 X\r\n${lines}\r\n`));
    const { open } = await startWebSocketProxy(upstream.url);
    expect(await refusalOf(open())).toEqual([502, "upstream_invalid"]);
    await until("its connection is closed", () => upstream.connections[0]?.destroyed || undefined);
  });
});

describe("S5: an open WebSocket ends", () => {
  test("with 4401 when the user's token does", async () => {
    const upstream = await startEcho();
    const { open } = await startWebSocketProxy(upstream.url);
    const exp = Math.floor(systemClock.now() / 1000) + 2;
    const socket = open("/x", [], { ...HEADERS(), authorization: `Bearer ${userToken({ exp })}` });
    await once(socket, "open");
    const [code, reason] = await closeOf(socket);
    expect([code, reason]).toEqual([4401, "token expired"]);
    expect(systemClock.now()).toBeGreaterThanOrEqual(exp * 1000);
    expect(systemClock.now()).toBeLessThan(exp * 1000 + 1_500);
    await until("the upstream hears of it", () => upstream.closeCodes.includes(4401) || undefined);
  });

  test("with 4403 when the link is switched off", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const socket = open();
    await once(socket, "open");
    const link = linkOf(upstream.url, { allowWebsocket: true, state: "DISABLED" });
    proxy.put({ kind: "link", name: link.name, link });
    expect(await closeOf(socket)).toEqual([4403, "link disabled"]);
  });

  test("with 1001 at a stop, those that open meanwhile too", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const socket = open();
    await once(socket, "open");
    proxy.drain();
    expect(await closeOf(socket)).toEqual([1001, "draining"]);
    expect(await closeOf(open())).toEqual([1001, "draining"]);
    await until("both sides are closed", () => proxy.tunnels.size === 0 || undefined);
    expect(upstream.closeCodes).toEqual([1001, 1001]);
  });

  test("with 1001 when nothing is sent for the link's idle time", async () => {
    const upstream = await startEcho();
    const { open } = await startWebSocketProxy(upstream.url, { upstream: { idleTimeoutMs: 200 } });
    const socket = open();
    await once(socket, "open");
    expect(await closeOf(socket)).toEqual([1001, "idle"]);
  });

  test("with 1009 when a client's message is over the link's body limit, in one frame or in many", async () => {
    const upstream = await startEcho();
    const { open } = await startWebSocketProxy(upstream.url, { requestBodyMaxBytes: 1000 });
    for (const isFragmented of [false, true]) {
      const socket = open();
      await once(socket, "open");
      socket.send(Buffer.alloc(1000), { compress: false });
      await once(socket, "message");
      const closed = closeOf(socket);
      if (isFragmented) {
        for (let at = 0; at < 3; at += 1) socket.send(Buffer.alloc(400), { fin: at === 2, compress: false });
      } else socket.send(Buffer.alloc(1001), { compress: false });
      expect((await closed)[0]).toBe(1009);
    }
  });

  test("when either side vanishes", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const first = open();
    await once(first, "open");
    first.terminate();
    await until("the upstream's side closes", () => upstream.closeCodes.length === 1 || undefined);
    const second = open();
    await once(second, "open");
    const closed = closeOf(second);
    for (const socket of upstream.sockets) socket.terminate();
    expect((await closed)[0]).toBe(1006);
    await until("nothing is left", () => proxy.tunnels.size === 0 || undefined);
  });

  test("within a message only after its frame: nobody reads our close frame as payload", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const socket = open();
    await once(socket, "open");
    const big = Buffer.alloc(8_000_000, "x");
    const received: Buffer[] = [];
    socket.on("message", (data: Buffer) => received.push(data));
    socket.send(big, { compress: false });
    await until("some of it is under way", () => (socket.bufferedAmount < big.length ? true : undefined));
    proxy.drain();
    const [code] = await closeOf(socket);
    expect([1001, 1006]).toContain(code);
    for (const message of received) expect(message.equals(big)).toBe(true);
  });
});

describe("S5: what is not a WebSocket of this link is 501", () => {
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  const request = (lines: string, line = `GET /${LINK_ID}/x HTTP/1.1`) =>
    `${line}\r\nHost: a.example\r\n${credentialLines()}${lines}\r\n`;
  test.each([
    ["h2c", request("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), 501],
    ["h2c beside websocket", request(`Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n${key}`), 501],
    ["TLS", request("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"), 501],
    ["two upgrades", request(`Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n${key}`), 501],
    [
      "another method",
      request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`, `PUT /${LINK_ID}/x HTTP/1.1`),
      501,
    ],
    ["HTTP/1.0", request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`, `GET /${LINK_ID}/x HTTP/1.0`), 501],
    ["no key", request("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"), 400],
    ["an old version", request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key.replace("13", "8")}`), 400],
    ["two keys", request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key}${key}`), 400],
    ["a body", `${request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key}Content-Length: 2\r\n`)}hi`, 400],
    ["no Connection", request(`Upgrade: websocket\r\n${key}`), 501],
  ])("%s", async (_what, bytes, status) => {
    const upstream = await startRawUpstream(() => undefined);
    const { proxy } = await startWebSocketProxy(upstream.url);
    const evil = `GET /${LINK_ID}/evil HTTP/1.1\r\nHost: a.example\r\n${credentialLines()}\r\n`;
    const answer = await rawExchange(proxy.port, bytes + evil);
    expect(statusesOf(answer)).toEqual([status]);
    expect(upstream.packets).toEqual([]);
  });

  test("a link that does not allow them", async () => {
    const upstream = await startEcho();
    const { open } = await startWebSocketProxy(upstream.url, { allowWebsocket: false });
    expect(await refusalOf(open())).toEqual([501, "not_supported"]);
    expect(upstream.handshakes).toEqual([]);
  });

  test("tokens in subprotocols of an ordinary request never reach the upstream", async () => {
    const upstream = await startRawUpstream(
      (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    const { proxy } = await startWebSocketProxy(upstream.url);
    const lines = `Connection: close\r\nSec-WebSocket-Protocol: conduit.jwt.abc\r\n`;
    expect(statusesOf(await rawExchange(proxy.port, request(lines)))).toEqual([200]);
    expect(upstream.packets.join("")).not.toContain("conduit.jwt");
  });

  test("bytes sent before the 101 are frames, never requests", async () => {
    const upstream = await startRawUpstream(
      (socket) => void socket.write("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"),
    );
    const { proxy } = await startWebSocketProxy(upstream.url);
    const handshake = request(`Connection: Upgrade\r\nUpgrade: websocket\r\n${key}`);
    const evil = `GET /${LINK_ID}/evil HTTP/1.1\r\nHost: a.example\r\n${credentialLines()}\r\n`;
    expect(statusesOf(await rawExchange(proxy.port, handshake + evil))).toEqual([403]);
    expect(upstream.packets.join("")).not.toContain("evil");
  });
});
