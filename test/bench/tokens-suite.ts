import { spawnSync } from "node:child_process";
import { create, toBinary } from "@bufbuild/protobuf";
import { MintTokenRequestSchema } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { startPostgres } from "../support/postgres-server.ts";
import { type BenchProcess, canPin, MEASURED_CORE, OTHER_CORE, startProcess } from "./bench-process.ts";
import type { ControlSetup, GrpcWorkloadOrder } from "./messages.ts";
import type { Figure, Limit } from "./report.ts";
import { type Candidate, measure, perRound, type RoundOptions, valuesOf } from "./rounds.ts";

/** promises.md P6. */
const VS_ECHO_LIMIT: Limit = { at: "most", value: 5 };
/** Calls in flight. */
const IN_FLIGHT = 16;

/** CPU of the control plane per minted token (ES256, gRPC, PostgreSQL, audit on) beside a bare grpc-js echo. */
export async function tokensSuite(options: RoundOptions): Promise<Figure[]> {
  const started: BenchProcess[] = [];
  const start = async (file: string, core: number, args: readonly string[] = []): Promise<BenchProcess> => {
    const process = await startProcess(file, core, args);
    started.push(process);
    return process;
  };
  // What is started from here inherits it: the database's work is not the control plane's.
  if (canPin()) spawnSync("taskset", ["-cp", String(OTHER_CORE), String(process.pid)], { stdio: "ignore" });
  const database = await startPostgres();
  try {
    const control = await start("control-server.ts", MEASURED_CORE, [await database.createDatabase()]);
    const echo = await start("grpc-echo.ts", MEASURED_CORE);
    const load = await start("grpc-load.ts", OTHER_CORE);
    const mint = mintOrder(await control.ask<ControlSetup>("setup"));
    await load.ask(mint);
    await load.ask({ ...mint, workload: "echo", path: "/bench.Echo/Echo" } satisfies GrpcWorkloadOrder);
    const candidates: Candidate[] = [
      { name: "mint", process: control, workload: "mint" },
      { name: "echo", process: echo, workload: "echo" },
    ];
    const measured = await measure(load, candidates, { kind: "closed", connections: IN_FLIGHT }, options);
    const vsEcho = perRound(measured, "mint", "echo", "cpuMicrosPerRequest", (mint, echo) => mint / echo);
    const of = (name: string, field: "cpuMicrosPerRequest" | "requestsPerSecond") => valuesOf(measured, name, field);
    return [
      { name: "P6.mint", quartiles: vsEcho, unit: "x", limit: VS_ECHO_LIMIT },
      { name: "P6.mint_cpu_us", quartiles: of("mint", "cpuMicrosPerRequest"), unit: "us", limit: "-" },
      { name: "P6.echo_cpu_us", quartiles: of("echo", "cpuMicrosPerRequest"), unit: "us", limit: "-" },
      { name: "P6.mints_per_s", quartiles: of("mint", "requestsPerSecond"), unit: "1/s", limit: "-" },
    ];
  } finally {
    for (const process of started) process.stop();
    await database.stop();
  }
}

function mintOrder({ parent, link, apiKey }: ControlSetup): GrpcWorkloadOrder {
  const request = create(MintTokenRequestSchema, {
    parent,
    subject: "auth0|0123456789",
    links: [link],
    roles: ["user"],
  });
  return {
    workload: "mint",
    path: "/conduit.v1.TokenService/MintToken",
    request: Buffer.from(toBinary(MintTokenRequestSchema, request)).toString("base64"),
    authorization: `Bearer ${apiKey}`,
  };
}
