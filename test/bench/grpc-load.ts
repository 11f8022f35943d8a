// Process: calls one unary method over grpc-js, so many calls in flight at a time, and counts the answers.
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { type GrpcWorkloadOrder, type LoadAnswer, type LoadOrder, serveParent } from "./messages.ts";

/** Bounds of any order, whatever the parent asks for. */
const DURATION_MAX_MS = 60_000;
const IN_FLIGHT_MAX = 64;
const LATENCIES_MAX = 10_000;

interface Workload {
  readonly path: string;
  readonly request: Buffer;
  readonly metadata: Metadata;
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
const exchange = (client: Client, { path, request, metadata }: Workload): Promise<number> =>
  new Promise((resolve) => {
    client.makeUnaryRequest(path, pass, pass, request, metadata, (error) => resolve(error?.code ?? 0));
  });

async function run({ port, durationMs, mode, workload: name }: LoadOrder): Promise<LoadAnswer> {
  const workload = workloads.get(name);
  if (workload === undefined || mode.kind !== "closed") throw new TypeError("no such workload");
  const client = clientOf(port);
  const untilMs = performance.now() + Math.min(durationMs, DURATION_MAX_MS);
  const failures: Record<string, number> = {};
  const latenciesMs: number[] = [];
  let completed = 0;
  const runOne = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const startMs = performance.now();
      const code = await exchange(client, workload);
      if (code === 0) completed += 1;
      else failures[code] = (failures[code] ?? 0) + 1;
      if (latenciesMs.length < LATENCIES_MAX) latenciesMs.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(mode.connections, IN_FLIGHT_MAX) }, runOne));
  return { completed, failures, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

function learn({ workload, path, request, authorization }: GrpcWorkloadOrder): void {
  const metadata = new Metadata();
  if (authorization !== "") metadata.set("authorization", authorization);
  workloads.set(workload, { path, request: Buffer.from(request, "base64"), metadata });
}

process.on("message", (message: LoadOrder | GrpcWorkloadOrder | "cpu") => {
  if (message === "cpu") return;
  if ("path" in message) {
    learn(message);
    process.send?.(true);
    return;
  }
  run(message).then(
    (answer) => process.send?.(answer),
    () => process.exit(1),
  );
});
serveParent(0);
