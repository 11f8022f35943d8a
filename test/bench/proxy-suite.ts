import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { type BenchProcess, MEASURED_CORE, OTHER_CORE, startProcess } from "./bench-process.ts";
import type { Figure, Limit } from "./report.ts";
import { type Candidate, type Measured, measure, perRound, type RoundOptions, valuesOf } from "./rounds.ts";
import { makeKeys, makeRequests } from "./workload.ts";

/** The full pipeline may cost this much more CPU than a bare pass-through in this issue; promises.md P1 says 1.25. */
const VS_UNDICI_LIMIT: Limit = { at: "most", value: 1.6 };
const CONNECTIONS = 16;
const OPEN_LOOP_PER_SECOND = 200;
const WORKLOAD = "users";

const ratio = (value: number, reference: number): number => value / reference;
const difference = (value: number, reference: number): number => value - reference;

/** CPU and latency of the proxy beside bare pass-throughs that get the same requests and the same answers. */
export async function proxySuite(options: RoundOptions): Promise<Figure[]> {
  const started: BenchProcess[] = [];
  const start = async (file: string, core: number, args: readonly string[] = []): Promise<BenchProcess> => {
    const process = await startProcess(file, core, args);
    started.push(process);
    return process;
  };
  try {
    const { privateKey, jwks } = await makeKeys();
    const linkToken = generateToken("linkToken", systemRandom).reveal();
    const upstream = await start("upstream.ts", OTHER_CORE, [Buffer.from(JSON.stringify(jwks)).toString("base64")]);
    const load = await start("load-generator.ts", OTHER_CORE);
    await load.ask({ workload: WORKLOAD, requests: await makeRequests(privateKey, linkToken) });
    const candidate = async (name: string, file: string, args: readonly string[]): Promise<Candidate> => ({
      name,
      process: await start(file, MEASURED_CORE, args),
      workload: WORKLOAD,
    });
    const port = String(upstream.port);
    const candidates = [
      await candidate("conduit", "conduit-proxy.ts", [port, linkToken]),
      await candidate("undici", "pass-through.ts", ["dispatch", port]),
      await candidate("undici-request", "pass-through.ts", ["request", port]),
      await candidate("node-http", "pass-through.ts", ["node", port]),
    ];
    const closed = await measure(load, candidates, { kind: "closed", connections: CONNECTIONS }, options);
    const direct: Candidate = { name: "direct", process: upstream, workload: WORKLOAD };
    const openLoop = { kind: "open", perSecond: OPEN_LOOP_PER_SECOND } as const;
    const open = await measure(load, [direct, ...candidates.slice(0, 2)], openLoop, options);
    return [...cpuFigures(closed), ...latencyFigures(open)];
  } finally {
    for (const process of started) process.stop();
  }
}

function cpuFigures(closed: Measured): Figure[] {
  const vs = (reference: string) => perRound(closed, "conduit", reference, "cpuMicrosPerRequest", ratio);
  const cpu = (name: string) => valuesOf(closed, name, "cpuMicrosPerRequest");
  return [
    { name: "P1.vs_undici", quartiles: vs("undici"), unit: "x", limit: VS_UNDICI_LIMIT },
    { name: "P1.vs_undici_request", quartiles: vs("undici-request"), unit: "x", limit: "-" },
    { name: "P1.vs_node_http", quartiles: vs("node-http"), unit: "x", limit: "-" },
    { name: "P1.cpu_us", quartiles: cpu("conduit"), unit: "us", limit: "-" },
    { name: "P1.undici_cpu_us", quartiles: cpu("undici"), unit: "us", limit: "-" },
    { name: "P1.requests_per_s", quartiles: valuesOf(closed, "conduit", "requestsPerSecond"), unit: "1/s", limit: "-" },
  ];
}

function latencyFigures(open: Measured): Figure[] {
  const added = (field: "latencyMsP50" | "latencyMsP90") => perRound(open, "conduit", "direct", field, difference);
  return [
    { name: "P3.added_p50_ms", quartiles: added("latencyMsP50"), unit: "ms", limit: "-" },
    { name: "P3.added_p90_ms", quartiles: added("latencyMsP90"), unit: "ms", limit: "-" },
  ];
}
