import { once } from "node:events";
import { type ClientHttp2Stream, connect, constants } from "node:http2";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import { apiFixture } from "./fixture.ts";

async function start(requestMaxMs: number) {
  const { api, health } = apiFixture();
  const base = { host: "127.0.0.1", port: 0, api, health, reflection: true, clock: systemClock };
  const listener = await listenGrpc({ ...base, requestMaxMs });
  const session = connect(`http://127.0.0.1:${listener.address.port}`);
  onTestFinished(async () => {
    session.destroy();
    await listener.drain(0);
  });
  return (path: string): ClientHttp2Stream => {
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => {});
    stream.resume();
    return stream;
  };
}

test("a call whose request never ends is ended, with or without a part of its message", async () => {
  const open = await start(50);
  const silent = open("/conduit.v1.TokenService/MintToken");
  const halfway = open("/conduit.v1.TokenService/MintToken");
  halfway.write(Buffer.from([0, 0, 0, 0, 9, 1]));
  await Promise.all([once(silent, "close"), once(halfway, "close")]);
  expect([silent.rstCode, halfway.rstCode]).toEqual([constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL]);
});

test("a stream of questions that are being answered goes on", async () => {
  const open = await start(50);
  const asking = open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  // ListServices, in a message of two bytes.
  const question = Buffer.from([0, 0, 0, 0, 2, (7 << 3) | 2, 0]);
  asking.write(question);
  await once(asking, "data");
  await once(open("/conduit.v1.TokenService/MintToken"), "close");
  asking.write(question);
  await once(asking, "data");
  expect(asking.closed).toBe(false);
});
