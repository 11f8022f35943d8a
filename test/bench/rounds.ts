import type { BenchProcess } from "./bench-process.ts";
import type { LoadAnswer, LoadOrder } from "./messages.ts";
import { type Quartiles, quantile, quartilesOf } from "./quartiles.ts";

export interface Candidate {
  readonly name: string;
  readonly process: BenchProcess;
  readonly workload: string;
}

/** How a measurement is cut. */
export interface RoundOptions {
  /** Rounds counted; promises.md P asks for at least 15. */
  readonly rounds: number;
  /** Of one slice. */
  readonly sliceMs: number;
  readonly warmUpMs: number;
}

/** One slice of one candidate. */
export interface Slice {
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  readonly latencyMsP50: number;
  readonly latencyMsP90: number;
}

/** Slices by candidate; index = round. */
export type Measured = ReadonlyMap<string, readonly Slice[]>;

/**
 * Interleaved slices, A B C A B C …: what the machine does meanwhile meets all candidates alike.
 * @throws Error naming the candidate whose answers are not all 200: a refusal is cheap, and no figure
 */
export async function measure(
  load: BenchProcess,
  candidates: readonly Candidate[],
  mode: LoadOrder["mode"],
  options: RoundOptions,
): Promise<Measured> {
  const slices = new Map<string, Slice[]>(candidates.map(({ name }) => [name, []]));
  for (const candidate of candidates) await slice(load, candidate, mode, options.warmUpMs);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const candidate of candidates) {
      slices.get(candidate.name)?.push(await slice(load, candidate, mode, options.sliceMs));
    }
  }
  return slices;
}

async function slice(
  load: BenchProcess,
  candidate: Candidate,
  mode: LoadOrder["mode"],
  durationMs: number,
): Promise<Slice> {
  const { name, process, workload } = candidate;
  await process.cpuSinceLast();
  const order: LoadOrder = { port: process.port, durationMs, mode, workload };
  const { completed, failures, latenciesMs } = await load.ask<LoadAnswer>(order);
  const cpuMicros = await process.cpuSinceLast();
  if (Object.keys(failures).length > 0 || completed === 0) {
    throw new Error(`${name}: not every answer was 200: ${JSON.stringify({ 200: completed, ...failures })}`);
  }
  return {
    cpuMicrosPerRequest: cpuMicros / completed,
    requestsPerSecond: (completed * 1_000) / durationMs,
    latencyMsP50: quantile(latenciesMs, 0.5),
    latencyMsP90: quantile(latenciesMs, 0.9),
  };
}

/** Of a candidate's slices, one value each. */
export function valuesOf(measured: Measured, name: string, field: keyof Slice): Quartiles {
  return quartilesOf(slicesOf(measured, name).map((one) => one[field]));
}

/** Of the per-round results of two candidates: `combine` gets the values of the same round. */
export function perRound(
  measured: Measured,
  name: string,
  reference: string,
  field: keyof Slice,
  combine: (value: number, reference: number) => number,
): Quartiles {
  const others = slicesOf(measured, reference);
  const both = slicesOf(measured, name).map((one, round) => combine(one[field], others[round]?.[field] ?? Number.NaN));
  return quartilesOf(both);
}

function slicesOf(measured: Measured, name: string): readonly Slice[] {
  const slices = measured.get(name);
  if (slices === undefined) throw new TypeError(`no candidate ${name}`);
  return slices;
}
