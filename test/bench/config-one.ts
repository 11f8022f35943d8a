import { setTimeout as delay } from "node:timers/promises";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { MEASURED_CORE, startProcess } from "./bench-process.ts";
import { enforcedAfterMs, untilEnforced } from "./config-probe.ts";
import type { ConfigWorld } from "./config-world.ts";
import { quantile, quartilesOf } from "./quartiles.ts";
import type { Figure } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";

const CHANGES = 500;
const WARM_UP = 20;
/** Between two changes, and up to so much more: not in step with any timer. */
const SPACING_MS = 40;
const SPREAD_MS = 30;

/** Single changes until a real proxy judges requests by them; one value of each percentile per round. */
export async function oneProxyFigures(
  world: ConfigWorld,
  control: { readonly port: number; readonly credential: string },
  { rounds }: Pick<RoundOptions, "rounds">,
): Promise<Figure[]> {
  using dataDir = makeTmpDir("conduit-bench-proxy-");
  const args = [`${control.port}`, control.credential, dataDir.path];
  const proxy = await startProcess("config-proxy.ts", MEASURED_CORE, args);
  try {
    let version = 1;
    await world.changeProbe(version);
    await untilEnforced(proxy.port, world.probe, version);
    const delaysMs: number[] = [];
    for (let change = 0; change < WARM_UP + CHANGES; change += 1) {
      await delay(SPACING_MS + Math.random() * SPREAD_MS);
      version += 1;
      const delayMs = await enforcedAfterMs(proxy.port, world, version);
      if (change >= WARM_UP) delaysMs.push(delayMs);
    }
    const of = (share: number) => quartilesOf(cut(delaysMs, rounds).map((part) => quantile(part, share)));
    return [
      { name: "P5.one_p90", quartiles: of(0.9), unit: "ms", limit: { at: "most", value: 20 } },
      { name: "P5.one_p50", quartiles: of(0.5), unit: "ms", limit: "-" },
      { name: "P5.one_p99", quartiles: of(0.99), unit: "ms", limit: "-" },
      { name: "P5.one_max", quartiles: quartilesOf([Math.max(...delaysMs)]), unit: "ms", limit: "-" },
    ];
  } finally {
    proxy.stop();
  }
}

/** In so many parts of about the same length, each sorted. */
function cut(values: readonly number[], parts: number): number[][] {
  const count = Math.min(parts, values.length);
  return Array.from({ length: count }, (_, at) =>
    values
      .slice(Math.floor((at * values.length) / count), Math.floor(((at + 1) * values.length) / count))
      .sort((a, b) => a - b),
  );
}
