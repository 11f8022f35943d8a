import { type BenchProcess, OTHER_CORE, startProcess } from "./bench-process.ts";
import type { Commit, ConnectedAnswer, DelaysAnswer, MemoryAnswer, SubscribersOrder } from "./config-messages.ts";
import { type ConfigWorld, changeSpaced } from "./config-world.ts";
import { quantile, quartilesOf } from "./quartiles.ts";
import type { Figure, Limit } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";

/** Changes a second: so far apart that each has reached everybody before the next, and a burst. */
const PER_SECOND = { spaced: 4, burst: 100 } as const;

/** What is measured: how many streams, over these replicas. `name` begins its figures' names. */
export interface Fanout {
  readonly name: string;
  readonly streams: number;
  readonly replicas: readonly BenchProcess[];
  readonly credential: string;
  /** Whether all are cut off in the end and come back at once. */
  readonly hasStorms: boolean;
  /** Of the spaced single changes (promises.md P5). */
  readonly limits?: { readonly p50: Limit; readonly p99: Limit };
}

/** One round of one workload. */
interface Round extends DelaysAnswer {
  /** Of all replicas, per change. */
  readonly cpuMs: number;
}

/** Beyond what other measurements count to. */
const FIRST_VERSION = 1_000_000;

/**
 * From the beginning of a change's commit until a simulated subscriber has decoded its frame, checked sequence and digest
 * and holds it; over all subscribers and changes of a round. Server CPU by its own accounting.
 */
export async function fanoutFigures(world: ConfigWorld, fanout: Fanout, options: RoundOptions): Promise<Figure[]> {
  const { name, streams, replicas, credential, hasStorms, limits } = fanout;
  const simulator = await startProcess("config-subscribers.ts", OTHER_CORE);
  const ask = async <A extends ConnectedAnswer | DelaysAnswer>(order: SubscribersOrder): Promise<A> => {
    const answer = await simulator.ask<A>(order);
    if (answer.problems.length > 0) throw new Error(`${name}: ${answer.problems.slice(0, 3).join("; ")}`);
    return answer;
  };
  try {
    const ports = replicas.map(({ port }) => port);
    const before = await memoryOf(replicas);
    const { delaysMs } = await ask<ConnectedAnswer>({ deed: "connect", count: streams, ports, credential });
    const carried = delaysMs.length;
    if (limits !== undefined && carried < streams) throw new Error(`${name}: ${carried} of ${streams} streams came`);
    const streamBytes = ((await memoryOf(replicas)) - before) / carried;
    const rounds = await measureRounds(world, replicas, (commits) => ask({ deed: "delays", commits }), options);
    return [
      plain(`P5.${name}_streams`, [carried], "streams"),
      ...delayFigures(`P5.${name}`, rounds.spaced, limits),
      ...delayFigures(`P5.${name}_burst`, rounds.burst),
      plain(`P5.${name}_stream_bytes`, [streamBytes], "B"),
      ...(hasStorms ? await stormFigures(name, (isCold) => ask({ deed: "reconnect", ports, isCold })) : []),
    ];
  } finally {
    simulator.stop();
  }
}

type Rounds = Readonly<Record<keyof typeof PER_SECOND, readonly Round[]>>;

/** Rounds of both workloads in turn, after one that warms up. */
async function measureRounds(
  world: ConfigWorld,
  replicas: readonly BenchProcess[],
  delaysOf: (commits: readonly Commit[]) => Promise<DelaysAnswer>,
  { rounds, sliceMs, warmUpMs }: RoundOptions,
): Promise<Rounds> {
  let version = FIRST_VERSION;
  const cpuMicros = async (): Promise<number> => sum(await Promise.all(replicas.map((it) => it.cpuSinceLast())));
  const slice = async (perSecond: number, durationMs: number): Promise<Round> => {
    await cpuMicros();
    const commits = await changeSpaced(world, { perSecond, durationMs, from: version });
    version += commits.length;
    const delays = await delaysOf(commits);
    return { ...delays, cpuMs: (await cpuMicros()) / 1_000 / commits.length };
  };
  await slice(PER_SECOND.spaced, warmUpMs);
  await slice(PER_SECOND.burst, warmUpMs);
  const measured: { spaced: Round[]; burst: Round[] } = { spaced: [], burst: [] };
  for (let round = 0; round < rounds; round += 1) {
    measured.spaced.push(await slice(PER_SECOND.spaced, sliceMs));
    measured.burst.push(await slice(PER_SECOND.burst, sliceMs));
  }
  return measured;
}

function delayFigures(name: string, rounds: readonly Round[], limits: Partial<NonNullable<Fanout["limits"]>> = {}) {
  const of = (field: "p50" | "p90" | "p99" | "max" | "cpuMs") => rounds.map((round) => round[field]);
  const limited = (figure: Figure, limit: Limit = "-"): Figure => ({ ...figure, limit });
  return [
    limited(plain(`${name}_p50`, of("p50"), "ms"), limits.p50),
    plain(`${name}_p90`, of("p90"), "ms"),
    limited(plain(`${name}_p99`, of("p99"), "ms"), limits.p99),
    plain(`${name}_max`, of("max"), "ms"),
    plain(`${name}_cpu`, of("cpuMs"), "ms/change"),
  ];
}

/** Everybody's connection is cut and everybody comes back at once: until each holds the current state. */
async function stormFigures(name: string, reconnect: (isCold: boolean) => Promise<ConnectedAnswer>): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const kind of ["resume", "cold"]) {
    const { delaysMs, refused } = await reconnect(kind === "cold");
    const storm = `P5.${name}_storm_${kind}`;
    for (const [text, share] of [
      ["p50", 0.5],
      ["p99", 0.99],
      ["max", 1],
    ] as const)
      figures.push(plain(`${storm}_${text}`, [quantile(delaysMs, share)], "ms"));
    figures.push(plain(`${storm}_refused`, [refused], "streams"));
  }
  return figures;
}

const plain = (name: string, values: readonly number[], unit: string): Figure => ({
  ...{ name, unit, limit: "-" },
  quartiles: quartilesOf(values),
});

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

async function memoryOf(replicas: readonly BenchProcess[]): Promise<number> {
  const answers = await Promise.all(replicas.map((replica) => replica.ask<MemoryAnswer>("memory")));
  return sum(answers.map(({ residentBytes }) => residentBytes));
}
