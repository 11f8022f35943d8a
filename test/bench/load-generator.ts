// Process: sends the requests it was told over keep-alive connections and counts the answers.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type LoadAnswer, type LoadOrder, serveParent, type WorkloadOrder } from "./messages.ts";
import { readResponse } from "./raw-response.ts";

/** Bounds of any order, whatever the parent asks for. */
const DURATION_MAX_MS = 60_000;
const CONNECTIONS_MAX = 64;
const LATENCIES_MAX = 10_000;

const workloads = new Map<string, readonly Buffer[]>();

/** One connection with at most one request in flight. */
class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #answered: ((status: number) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#answered?.(0));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Connection(socket);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Status of the answer; 0 = the connection broke. */
  exchange(request: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    const response = readResponse(this.#received);
    if (response === undefined) return;
    this.#received = this.#received.subarray(response.length);
    this.#answered?.(response.status);
  }
}

class Tally {
  completed = 0;
  readonly failures: Record<string, number> = {};
  readonly latenciesMs: number[] = [];
  readonly #wanted: number;

  /** @param wanted the status that counts as completed */
  constructor(wanted = 200) {
    this.#wanted = wanted;
  }

  add(status: number, latencyMs: number): void {
    if (status === this.#wanted) this.completed += 1;
    else this.failures[status || "lost"] = (this.failures[status || "lost"] ?? 0) + 1;
    if (this.latenciesMs.length < LATENCIES_MAX) this.latenciesMs.push(latencyMs);
  }
}

async function exchangeInto(tally: Tally, connection: Connection, request: Buffer): Promise<void> {
  const start = performance.now();
  tally.add(await connection.exchange(request), performance.now() - start);
}

async function closedLoop(
  { port }: LoadOrder,
  requests: readonly Buffer[],
  connections: number,
  untilMs: number,
  tally: Tally,
  isOnce = false,
) {
  let next = 0;
  const count = Math.min(connections, CONNECTIONS_MAX);
  const runOne = async (): Promise<void> => {
    const connection = await Connection.open(port);
    while (performance.now() < untilMs && connection.isOpen && !(isOnce && next >= requests.length)) {
      const request = requests[next++ % requests.length];
      if (request !== undefined) await exchangeInto(tally, connection, request);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: count }, runOne));
}

async function openLoop(
  { port }: LoadOrder,
  requests: readonly Buffer[],
  perSecond: number,
  untilMs: number,
  tally: Tally,
) {
  const idle: Connection[] = [];
  const all: Connection[] = [];
  const startMs = performance.now();
  const inFlight: Promise<void>[] = [];
  for (let sent = 0; performance.now() < untilMs; sent += 1) {
    await delay(Math.max(0, startMs + (sent * 1_000) / perSecond - performance.now()));
    const connection = idle.pop() ?? (all.length < CONNECTIONS_MAX ? await Connection.open(port) : undefined);
    const request = requests[sent % requests.length];
    if (connection === undefined || request === undefined) continue;
    if (!all.includes(connection)) all.push(connection);
    inFlight.push(exchangeInto(tally, connection, request).then(() => void idle.push(connection)));
  }
  await Promise.all(inFlight);
  for (const connection of all) connection.close();
}

async function run(order: LoadOrder): Promise<LoadAnswer> {
  const requests = workloads.get(order.workload) ?? [];
  const untilMs = performance.now() + Math.min(order.durationMs, DURATION_MAX_MS);
  const { mode } = order;
  const tally = new Tally(mode.kind === "once" ? mode.status : undefined);
  if (mode.kind === "closed") await closedLoop(order, requests, mode.connections, untilMs, tally);
  else if (mode.kind === "once") await closedLoop(order, requests, mode.connections, untilMs, tally, true);
  else await openLoop(order, requests, mode.perSecond, untilMs, tally);
  const { completed, failures, latenciesMs } = tally;
  return { completed, failures, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

process.on("message", (message: LoadOrder | WorkloadOrder | "cpu") => {
  if (message === "cpu") return;
  if ("requests" in message) {
    workloads.set(
      message.workload,
      message.requests.map((text) => Buffer.from(text, "base64")),
    );
    process.send?.(true);
    return;
  }
  run(message).then(
    (answer) => process.send?.(answer),
    () => process.exit(1),
  );
});
serveParent(0);
