// promises.md S5: what asks for another protocol and is not a WebSocket of a link that allows it, by hand.
import { describe, expect, test } from "vitest";
import { credentialLines, LINK_ID, rawExchange, statusesOf } from "../harness.ts";
import { startRawUpstream } from "../raw-upstream.ts";
import { refusalOf, startEcho, startWebSocketProxy } from "./echo.ts";

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
