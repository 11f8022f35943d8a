import { spawnSync } from "node:child_process";
import { create, toBinary } from "@bufbuild/protobuf";
import { MintTokenRequestSchema } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { startPostgres } from "../support/postgres-server.ts";
import { type BenchProcess, canPin, MEASURED_CORE, OTHER_CORE, startProcess } from "./bench-process.ts";
import type { ControlSetup, DeedAnswer, DeedOrder, GrpcWorkloadOrder } from "./messages.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure, Limit } from "./report.ts";
import { type Candidate, measure, perRound, type RoundOptions, valuesOf } from "./rounds.ts";

/** promises.md P6. */
const VS_ECHO_LIMIT: Limit = { at: "most", value: 5 };
const VS_UPDATE_LIMIT: Limit = { at: "most", value: 3 };
/** Calls in flight. */
const IN_FLIGHT = 16;

/**
 * CPU of the control plane per minted token (ES256, gRPC, PostgreSQL, audit on) beside a bare grpc-js echo, and the wall
 * time of a refresh by the service beside a one-row UPDATE transaction over the same pool.
 */
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
      ...(await measureRefresh(control, options)),
    ];
  } finally {
    for (const process of started) process.stop();
    await database.stop();
  }
}

async function measureRefresh(control: BenchProcess, { rounds, sliceMs, warmUpMs }: RoundOptions): Promise<Figure[]> {
  const micros = async (deed: DeedOrder["deed"], durationMs: number): Promise<number> => {
    const { completed } = await control.ask<DeedAnswer>({ deed, clients: IN_FLIGHT, durationMs } satisfies DeedOrder);
    return (durationMs * 1_000 * IN_FLIGHT) / completed;
  };
  await micros("refresh", warmUpMs);
  await micros("update", warmUpMs);
  const times: Array<{ refreshMicros: number; updateMicros: number }> = [];
  for (let round = 0; round < rounds; round += 1)
    times.push({ refreshMicros: await micros("refresh", sliceMs), updateMicros: await micros("update", sliceMs) });
  const vsUpdate = quartilesOf(times.map(({ refreshMicros, updateMicros }) => refreshMicros / updateMicros));
  const refreshMicros = quartilesOf(times.map((one) => one.refreshMicros));
  const updateMicros = quartilesOf(times.map((one) => one.updateMicros));
  return [
    { name: "P6.refresh", quartiles: vsUpdate, unit: "x", limit: VS_UPDATE_LIMIT },
    { name: "P6.refresh_wall_us", quartiles: refreshMicros, unit: "us", limit: "-" },
    { name: "P6.update_wall_us", quartiles: updateMicros, unit: "us", limit: "-" },
  ];
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
