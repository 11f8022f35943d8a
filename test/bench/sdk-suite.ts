import { measureSizes } from "../../sdk/build/bundle-size.ts";
import { buildSdk } from "../runtimes/sdk-build.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { MEASURED_CORE, startProcess } from "./bench-process.ts";
import type { CallsAnswer, CallsOrder } from "./messages.ts";
import { linesOfCells, measureCells } from "./peers/table.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure } from "./report.ts";

/** promises.md P7. */
const BATCHES = 20;
const WARM_UP_BATCHES = 3;

/** Sizes and cost of a call (P7), of the SDK as it is published; then a table of what it and others make of the same situations. */
export async function sdkSuite(): Promise<Figure[]> {
  using dir = makeTmpDir();
  buildSdk(dir.path);
  const figures = [...(await sizeFigures(dir.path)), ...(await callFigures(dir.path))];
  for (const line of linesOfCells(await measureCells(dir.path))) console.log(line);
  return figures;
}

async function sizeFigures(folder: string): Promise<Figure[]> {
  const sizes = await measureSizes(folder);
  return sizes.map(({ name, gzip, limit }) => ({
    name: name === "" ? "P7.core_bytes" : `P7.size_${name.slice(1)}_bytes`,
    quartiles: quartilesOf([gzip]),
    unit: "B",
    limit: { at: "most", value: limit },
  }));
}

/** What a call costs over one of the same fetch by itself. */
async function callFigures(folder: string): Promise<Figure[]> {
  const calls = await startProcess("sdk-calls.ts", MEASURED_CORE, [folder]);
  try {
    const overheads: number[] = [];
    for (let batch = 0; batch < WARM_UP_BATCHES + BATCHES; batch += 1) {
      const { conduitMicros, plainMicros } = await calls.ask<CallsAnswer>("calls" satisfies CallsOrder);
      if (batch >= WARM_UP_BATCHES) overheads.push(conduitMicros - plainMicros);
    }
    const quartiles = quartilesOf(overheads);
    return [{ name: "P7.call_overhead_us", quartiles, unit: "us", limit: { at: "most", value: 20 } }];
  } finally {
    calls.stop();
  }
}
