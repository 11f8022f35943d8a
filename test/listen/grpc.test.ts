import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConfigService,
  WatchConfigRequestSchema,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@conduit-link/proto/grpc/health/v1/health_pb";
import { ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { type GrpcListenerOptions, listenGrpc } from "../../server/src/listen/grpc.ts";
import { metadataOf, rawGrpc } from "../support/raw-grpc.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";
import { until } from "../support/until.ts";
import { apiFixture, FLOOD_MESSAGES, GOOD } from "./fixture.ts";

const { mintToken } = TokenService.method;
const mint = (subject: string) => create(MintTokenRequestSchema, { subject, parent: "projects/p", links: ["l"] });
const AS_KEY = { authorization: GOOD };

async function start(options: Partial<GrpcListenerOptions> = {}) {
  const fixture = apiFixture();
  const { api, health } = fixture;
  const base = { host: "127.0.0.1", port: 0, reflection: false, clock: systemClock };
  const listener = await listenGrpc({ ...base, api, health, ...options });
  const address = `127.0.0.1:${listener.address.port}`;
  const grpc = rawGrpc(
    address,
    options.tls === undefined ? undefined : credentials.createSsl(Buffer.from(TLS_PAIR.cert)),
  );
  onTestFinished(async () => {
    grpc.client.close();
    fixture.release();
    await listener.drain(0);
  });
  return { ...fixture, listener, grpc, address };
}

function watch(grpc: { client: import("@grpc/grpc-js").Client }, path: string, bytes: Uint8Array) {
  const pass = (value: Buffer): Buffer => value;
  const stream = grpc.client.makeServerStreamRequest(path, pass, pass, Buffer.from(bytes), metadataOf(AS_KEY));
  const messages: Buffer[] = [];
  stream.on("data", (message: Buffer) => messages.push(message));
  const ended = new Promise<string>((resolve) => {
    stream.on("error", (error: ServiceError) => resolve(status[error.code] ?? ""));
    stream.on("end", () => resolve("OK"));
  });
  return { stream: stream as ClientReadableStream<Buffer>, messages, ended };
}
const watchConfig = (grpc: { client: import("@grpc/grpc-js").Client }) =>
  watch(grpc, `/${ConfigService.typeName}/WatchConfig`, new Uint8Array());

test("a unary call gets its answer", async () => {
  const { grpc } = await start();
  const answer = await grpc.call(mintToken, mint("alice"), AS_KEY);
  expect(answer).toMatchObject({ status: "OK", message: { accessToken: "token of alice" } });
});

test("an error arrives with its code, text, details and metadata", async () => {
  const { grpc } = await start();
  const answer = await grpc.call(mintToken, mint("fail"), AS_KEY);
  expect(answer).toMatchObject({ status: "NOT_FOUND", details: "no such link" });
  expect(answer.trailer.get("x-extra")).toEqual(["1"]);
  const [bin] = answer.trailer.get("grpc-status-details-bin");
  const error = findTrailerError(
    new Headers({ "grpc-status-details-bin": Buffer.from(bin as Buffer).toString("base64") }),
  );
  expect(ConnectError.from(error).findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RESOURCE_NOT_FOUND" }]);
});

test("what an unexpected error says stays here", async () => {
  const { grpc } = await start();
  const answer = await grpc.call(mintToken, mint("crash"), AS_KEY);
  expect(answer).toMatchObject({ status: "INTERNAL", details: "internal error" });
  expect(JSON.stringify(answer.trailer.getMap())).not.toContain("hunter2");
});

test("without a credential, everything is UNAUTHENTICATED: well-formed, malformed, unimplemented and invented methods", async () => {
  const { grpc, minted } = await start();
  const garbage = new Uint8Array([255, 255, 255]);
  expect((await grpc.call(mintToken, mint("alice"))).status).toBe("UNAUTHENTICATED");
  expect((await grpc.callPath("/conduit.v1.TokenService/MintToken", garbage)).status).toBe("UNAUTHENTICATED");
  expect((await grpc.callPath("/conduit.v1.ConfigService/ReportUsage", new Uint8Array())).status).toBe(
    "UNAUTHENTICATED",
  );
  expect((await grpc.callPath("/conduit.v1.TokenService/Invented", garbage)).status).toBe("UNAUTHENTICATED");
  expect((await grpc.callPath("/nobody.Service/Method", garbage)).status).toBe("UNAUTHENTICATED");
  expect(minted).toEqual([]);
});

test("with a credential, unknown methods are UNIMPLEMENTED and malformed messages INVALID_ARGUMENT", async () => {
  const { grpc } = await start();
  const garbage = new Uint8Array([255, 255, 255]);
  expect((await grpc.callPath("/conduit.v1.ConfigService/ReportUsage", new Uint8Array(), AS_KEY)).status).toBe(
    "UNIMPLEMENTED",
  );
  expect((await grpc.callPath("/conduit.v1.TokenService/Invented", garbage, AS_KEY)).status).toBe("UNIMPLEMENTED");
  expect((await grpc.callPath("/conduit.v1.TokenService/MintToken", garbage, AS_KEY)).status).toBe("INVALID_ARGUMENT");
});

test("a request over 1 MiB is refused, and the connection goes on", async () => {
  const { grpc, minted } = await start();
  const answer = await grpc.call(mintToken, mint("x".repeat(1024 * 1024)), AS_KEY);
  expect(answer.status).toBe("RESOURCE_EXHAUSTED");
  expect(minted).toEqual([]);
  expect((await grpc.call(mintToken, mint("alice"), AS_KEY)).status).toBe("OK");
});

test("an answer over 4 MiB is refused instead of sent, and the connection goes on", async () => {
  const { grpc } = await start();
  const answer = await grpc.call(mintToken, mint("huge"), AS_KEY);
  expect(answer).toMatchObject({ status: "RESOURCE_EXHAUSTED", message: undefined });
  expect((await grpc.call(mintToken, mint("alice"), AS_KEY)).status).toBe("OK");
});

test("a call ends at its deadline even if nothing answers", async () => {
  const { grpc } = await start();
  expect((await grpc.call(mintToken, mint("wait"), { ...AS_KEY, deadlineMs: 100 })).status).toBe("DEADLINE_EXCEEDED");
});

test("a stream sends frames encoded beforehand as they are, and ordinary messages", async () => {
  const { grpc } = await start();
  const { stream, messages, ended } = watchConfig(grpc);
  await until("two messages", () => (messages.length === 2 ? true : undefined));
  const sequences = messages.map((bytes) => fromBinary(WatchConfigResponseSchema, bytes).event.value);
  expect(sequences).toMatchObject([{ headSequence: 1n }, { headSequence: 2n }]);
  stream.cancel();
  expect(await ended).toBe("CANCELLED");
});

test("a client that does not read stops the stream instead of filling the memory", async () => {
  const { grpc, flooded } = await start();
  const path = `/${ConfigService.typeName}/WatchConfig`;
  const request = toBinary(WatchConfigRequestSchema, create(WatchConfigRequestSchema, { instanceId: "flood" }));
  const pass = (value: Buffer): Buffer => value;
  const stream = grpc.client.makeServerStreamRequest(path, pass, pass, Buffer.from(request), metadataOf(AS_KEY));
  stream.on("error", () => {});
  await until("the first message", () => (flooded.length > 0 ? true : undefined));
  // Long enough for an unhindered stream to hand over everything.
  for (let call = 0; call < 50; call += 1) await grpc.call(mintToken, mint("alice"), AS_KEY);
  expect(flooded.length).toBeLessThan(FLOOD_MESSAGES / 2);
  stream.cancel();
});

test("when the client goes away the implementation is told", async () => {
  const { grpc, endedStreams } = await start();
  const { stream, messages } = watchConfig(grpc);
  await until("a message", () => messages[0]);
  stream.on("error", () => {});
  stream.cancel();
  await until("the generator's end", () => endedStreams[0]);
});

test("drain ends streams with UNAVAILABLE, lets unary calls finish and takes no new ones", async () => {
  const { grpc, listener, address, release, minted } = await start();
  const streaming = watchConfig(grpc);
  await until("a message", () => streaming.messages[0]);
  const held = grpc.call(mintToken, mint("hold"), AS_KEY);
  await until("the call", () => minted[0]);
  const drained = listener.drain();
  expect(await streaming.ended).toBe("UNAVAILABLE");
  using late = rawGrpc(address);
  expect((await late.call(mintToken, mint("late"), { ...AS_KEY, deadlineMs: 2_000 })).status).toBe("UNAVAILABLE");
  release();
  expect((await held).status).toBe("OK");
  await drained;
  expect(minted).toEqual(["hold"]);
});

test("drain cuts what does not finish in time", async () => {
  const { grpc, listener, minted } = await start();
  const held = grpc.call(mintToken, mint("hold"), AS_KEY);
  await until("the call", () => minted[0]);
  await listener.drain(50);
  expect((await held).status).not.toBe("OK");
});

test("health tells the whole server, each service, and watchers when it changes; without a credential", async () => {
  const { grpc, health } = await start();
  const check = (service: string) => grpc.call(Health.method.check, create(HealthCheckRequestSchema, { service }));
  expect((await check("")).message).toMatchObject({ status: ServingStatus.NOT_SERVING });
  health.setServing(true);
  expect((await check("")).message).toMatchObject({ status: ServingStatus.SERVING });
  expect((await check(TokenService.typeName)).message).toMatchObject({ status: ServingStatus.SERVING });
  expect((await check("nobody.Service")).status).toBe("NOT_FOUND");
  const bytes = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema));
  const { messages, stream } = watch(grpc, `/${Health.typeName}/Watch`, bytes);
  stream.on("error", () => {});
  const seen = (): HealthCheckResponse["status"][] =>
    messages.map((message) => fromBinary(HealthCheckResponseSchema, message).status);
  await until("the first status", () => messages[0]);
  health.setServing(false);
  await until("the change", () => messages[1]);
  expect(seen()).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  stream.cancel();
});

test("serves TLS with the certificate given", async () => {
  const { grpc } = await start({ tls: TLS_PAIR });
  expect((await grpc.call(mintToken, mint("alice"), AS_KEY)).status).toBe("OK");
});

test("a port in use is exit 3 and names the flag", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  await expect(start({ port })).rejects.toMatchObject({
    exitCode: 3,
    message: `--grpc-port: port ${port} is in use: stop what listens there, or choose another (0 = any free one)`,
  });
  taken.close();
});

test("random bytes on the port neither crash nor occupy it", async () => {
  const { grpc, listener } = await start();
  const socket = connect(listener.address.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  socket.end(randomBytes(10_000));
  await once(socket, "close");
  expect((await grpc.call(mintToken, mint("alice"), AS_KEY)).status).toBe("OK");
});
