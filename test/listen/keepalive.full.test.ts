// A peer behind a network that swallows everything: the gRPC port pings it, and does not keep its connection for ever.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { apiFixture, GOOD } from "./fixture.ts";

/** Pings every 30 s, and 10 s for the answer. */
const GONE_AFTER_MS = 40_000;
const MARGIN_MS = 5_000;

/** Passes bytes on until it is told to swallow them. */
async function startRelay(port: number) {
  const state = { isDeaf: false, inner: undefined as Socket | undefined };
  const relay = createServer((outer) => {
    const inner = connect(port, "127.0.0.1");
    state.inner = inner;
    outer.on("data", (bytes) => state.isDeaf || inner.write(bytes));
    inner.on("data", (bytes) => state.isDeaf || outer.write(bytes));
    for (const socket of [outer, inner]) socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  return { state, relay, address: `127.0.0.1:${(relay.address() as { port: number }).port}` };
}

test("a connection whose peer no longer answers is closed, a call in flight or not", async () => {
  const { api, health } = apiFixture();
  const listener = await listenGrpc({ host: "127.0.0.1", port: 0, api, health, reflection: false, clock: systemClock });
  const { state, relay, address } = await startRelay(listener.address.port);
  const grpc = rawGrpc(address);
  onTestFinished(async () => {
    grpc.client.close();
    relay.close();
    await listener.drain(0);
  });
  const mint = (subject: string) =>
    grpc.call(TokenService.method.mintToken, create(MintTokenRequestSchema, { subject }), { authorization: GOOD });
  expect((await mint("alice")).status).toBe("OK");
  state.isDeaf = true;
  const beganMs = performance.now();
  void mint("nobody hears this");
  if (state.inner === undefined) throw new Error("nothing was relayed");
  await once(state.inner, "close");
  expect(performance.now() - beganMs).toBeLessThan(GONE_AFTER_MS + MARGIN_MS);
}, 60_000);
