// promises.md S5: WebSockets through the proxy, with a client and a server nobody here wrote.
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { until } from "../../support/until.ts";
import { HIDDEN_KEY, LINK_TOKEN, linkOf, linkTokenOf, revokeToken, userToken } from "../harness.ts";
import { startRawUpstream } from "../raw-upstream.ts";
import { closeOf, HEADERS, refusalOf, startEcho, startWebSocketProxy } from "./echo.ts";

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

  test("with 4401 when the user's token is revoked", async () => {
    const upstream = await startEcho();
    const { open, proxy } = await startWebSocketProxy(upstream.url);
    const socket = open("/x", [], { ...HEADERS(), authorization: `Bearer ${userToken({ jti: "stolen" })}` });
    const other = open("/x", [], { ...HEADERS(), authorization: `Bearer ${userToken({ jti: "kept" })}` });
    await Promise.all([once(socket, "open"), once(other, "open")]);
    revokeToken(proxy, "stolen");
    expect(await closeOf(socket)).toEqual([4401, "token revoked"]);
    other.send("still here");
    await once(other, "message");
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
