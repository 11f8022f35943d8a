import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { startHttpServer } from "./http-server.ts";

describe("the recording HTTP server", () => {
  test("keeps header lines in order, as they were written, and the body", async () => {
    await using server = await startHttpServer((request) => ({ status: 201, body: { got: request.body.toString() } }));
    const socket = connect(server.port, "127.0.0.1");
    socket.end("POST /a//b?c HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nhi");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 [\s\S]*\{"got":"hi"\}$/);
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", target: "/a//b?c" });
    expect(request?.headers.slice(1, 3)).toEqual([
      ["X-Two", "1"],
      ["x-two", "2"],
    ]);
    expect(request?.header("X-TWO")).toEqual(["1", "2"]);
    expect(server.connections).toBe(1);
  });

  test("hands out the raw exchange before the body is read", async () => {
    await using server = await startHttpServer(
      async (_recorded, { request, response }) => {
        for await (const chunk of request) response.write(chunk);
        response.end("!");
        return undefined;
      },
      { readBody: false },
    );
    expect(await (await fetch(server.url, { method: "POST", body: "hello" })).text()).toBe("hello!");
  });
});
