import { setTimeout as delay } from "node:timers/promises";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { type BenchProcess, MEASURED_CORE, startProcess } from "./bench-process.ts";
import type { ReadyAnswer, RestAnswer } from "./config-messages.ts";
import type { ConfigWorld } from "./config-world.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";

const LINKS = 100_000;
const REVOCATIONS = 1_000_000;
/** Cold starts of each size, at most: each takes a while. */
const STARTS_MAX = 3;
/** The control plane keeps a snapshot for 5 s: every start waits for one of its own. */
const SNAPSHOT_KEPT_MS = 5_500;

type ColdStart = ReadyAnswer & RestAnswer;

/**
 * Cold starts of a real proxy without anything on disk: from asking the control plane, which has no snapshot at hand, until
 * requests are served by it; and what the process then takes.
 */
export async function sizeFigures(
  world: ConfigWorld,
  startControl: () => Promise<BenchProcess & { readonly credential: string }>,
  { rounds }: Pick<RoundOptions, "rounds">,
): Promise<Figure[]> {
  const starts = Math.min(rounds, STARTS_MAX);
  const measure = async (): Promise<ColdStart[]> => {
    const control = await startControl();
    try {
      const all: ColdStart[] = [];
      for (let start = 0; start < starts; start += 1) all.push(await coldStart(control.port, control.credential));
      return all;
    } finally {
      control.stop();
    }
  };
  const empty = await measure();
  await world.addLinks(LINKS, false);
  const links = await measure();
  await world.addRevocations(REVOCATIONS);
  const both = await measure();
  for (const { links: count, rejected } of links)
    if (count < LINKS || rejected > 0) throw new Error(`the proxy serves ${count} links and rejects ${rejected}`);
  const base = quartilesOf(empty.map((it) => it.residentBytes)).median;
  const withLinks = quartilesOf(links.map((it) => it.residentBytes)).median;
  const of = (all: readonly ColdStart[], value: (one: ColdStart) => number) => quartilesOf(all.map(value));
  const most = (value: number) => ({ at: "most", value }) as const;
  const linkBytes = of(links, (it) => (it.residentBytes - base) / LINKS);
  const revocationBytes = of(both, (it) => (it.residentBytes - withLinks) / REVOCATIONS);
  return [
    { name: "P5.cold", quartiles: of(links, (it) => it.sincePlaneMs / 1e3), unit: "s", limit: most(3) },
    { name: "P5.cold_process", quartiles: of(links, (it) => it.sinceProcessMs / 1e3), unit: "s", limit: "-" },
    { name: "P5.cold_cpu", quartiles: of(links, (it) => it.cpuMs / 1e3), unit: "s", limit: "-" },
    { name: "P5.cold_empty", quartiles: of(empty, (it) => it.sincePlaneMs / 1e3), unit: "s", limit: "-" },
    { name: "P5.cold_pause_max", quartiles: of(links, (it) => it.pauseMsMax), unit: "ms", limit: "-" },
    { name: "P5.cold_revocations", quartiles: of(both, (it) => it.sincePlaneMs / 1e3), unit: "s", limit: "-" },
    { name: "P5.cold_revocations_pause_max", quartiles: of(both, (it) => it.pauseMsMax), unit: "ms", limit: "-" },
    { name: "P4.link_bytes", quartiles: linkBytes, unit: "B", limit: most(2_500) },
    { name: "P4.revocation_bytes", quartiles: revocationBytes, unit: "B", limit: most(160) },
    { name: "P4.resident_mib", quartiles: of(both, (it) => it.residentBytes / 2 ** 20), unit: "MiB", limit: "-" },
    { name: "P4.uncollected_mib", quartiles: of(both, (it) => it.uncollectedBytes / 2 ** 20), unit: "MiB", limit: "-" },
    { name: "P4.peak_mib", quartiles: of(both, (it) => it.peakBytes / 2 ** 20), unit: "MiB", limit: "-" },
  ];
}

async function coldStart(controlPort: number, credential: string): Promise<ColdStart> {
  await delay(SNAPSHOT_KEPT_MS);
  using dataDir = makeTmpDir("conduit-bench-proxy-");
  const proxy = await startProcess("config-proxy.ts", MEASURED_CORE, [`${controlPort}`, credential, dataDir.path]);
  try {
    const ready = await proxy.ask<ReadyAnswer>("ready");
    return { ...ready, ...(await proxy.ask<RestAnswer>("rest")) };
  } finally {
    proxy.stop();
  }
}
