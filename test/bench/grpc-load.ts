// Process: calls one unary method over grpc-js, so many calls in flight at a time, and counts the answers.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RefreshTokenRequestSchema, RefreshTokenResponseSchema } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  type GrpcWorkloadOrder,
  type LoadAnswer,
  type LoadOrder,
  type RefreshWorkloadOrder,
  serveParent,
} from "./messages.ts";

/** Bounds of any order, whatever the parent asks for. */
const DURATION_MAX_MS = 60_000;
const IN_FLIGHT_MAX = 64;
const LATENCIES_MAX = 10_000;

interface Workload {
  readonly path: string;
  readonly metadata: Metadata;
  /** Of the call in flight with this number. */
  request(slot: number): Buffer;
  answered(slot: number, answer: Buffer): void;
}

const workloads = new Map<string, Workload>();
const clients = new Map<number, Client>();
const pass = (bytes: Buffer): Buffer => bytes;

function clientOf(port: number): Client {
  const client = clients.get(port) ?? new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.set(port, client);
  return client;
}

/** Code of the answer: 0 = OK. */
const exchange = (client: Client, { path, metadata, request, answered }: Workload, slot: number): Promise<number> =>
  new Promise((resolve) => {
    client.makeUnaryRequest(path, pass, pass, request(slot), metadata, (error, answer) => {
      if (answer !== undefined) answered(slot, answer);
      resolve(error?.code ?? 0);
    });
  });

async function run({ port, durationMs, mode, workload: name }: LoadOrder): Promise<LoadAnswer> {
  const workload = workloads.get(name);
  if (workload === undefined || mode.kind !== "closed") throw new TypeError("no such workload");
  const client = clientOf(port);
  const untilMs = performance.now() + Math.min(durationMs, DURATION_MAX_MS);
  const failures: Record<string, number> = {};
  const latenciesMs: number[] = [];
  let completed = 0;
  const runOne = async (slot: number): Promise<void> => {
    while (performance.now() < untilMs) {
      const startMs = performance.now();
      const code = await exchange(client, workload, slot);
      if (code === 0) completed += 1;
      else failures[code] = (failures[code] ?? 0) + 1;
      if (latenciesMs.length < LATENCIES_MAX) latenciesMs.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(mode.connections, IN_FLIGHT_MAX) }, (_, slot) => runOne(slot)));
  return { completed, failures, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

function learn({ workload, path, request, authorization }: GrpcWorkloadOrder): void {
  const metadata = new Metadata();
  if (authorization !== "") metadata.set("authorization", authorization);
  const bytes = Buffer.from(request, "base64");
  workloads.set(workload, { path, metadata, request: () => bytes, answered: () => {} });
}

function learnRefreshes({ workload, refreshTokens }: RefreshWorkloadOrder): void {
  const current = [...refreshTokens];
  workloads.set(workload, {
    path: "/conduit.v1.TokenService/RefreshToken",
    metadata: new Metadata(),
    request: (slot) =>
      Buffer.from(
        toBinary(RefreshTokenRequestSchema, create(RefreshTokenRequestSchema, { refreshToken: current[slot] ?? "" })),
      ),
    answered: (slot, answer) => {
      current[slot] = fromBinary(RefreshTokenResponseSchema, answer).refreshToken;
    },
  });
}

process.on("message", (message: LoadOrder | GrpcWorkloadOrder | RefreshWorkloadOrder | "cpu") => {
  if (message === "cpu") return;
  if ("durationMs" in message) {
    run(message).then(
      (answer) => process.send?.(answer),
      () => process.exit(1),
    );
    return;
  }
  if ("path" in message) learn(message);
  else learnRefreshes(message);
  process.send?.(true);
});
serveParent(0);
