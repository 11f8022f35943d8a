// npm run bench -- <suite> [--rounds 15] [--seconds 1]: prints the lines of contract.md 12. Exit 0 when everything was
// measured, SHORT or not; 1 when something could not be, explained on stderr; 2 for a wrong command line.
import { parseArgs } from "node:util";
import { canPin } from "./bench-process.ts";
import { configSuite } from "./config-suite.ts";
import { proxySuite } from "./proxy-suite.ts";
import { type Figure, linesOf, summaryOf } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";
import { sdkSuite } from "./sdk-suite.ts";
import { tokensSuite } from "./tokens-suite.ts";
import { verifySuite } from "./verify-suite.ts";

const SUITES: Readonly<Record<string, (options: RoundOptions) => Promise<Figure[]>>> = {
  proxy: async (options) => [...(await proxySuite(options)), ...(await verifySuite(options))],
  verify: verifySuite,
  tokens: tokensSuite,
  sdk: sdkSuite,
  config: configSuite,
};
const WARM_UP_MS = 2_000;

const usage = `usage: npm run bench -- <${Object.keys(SUITES).join("|")}> [--rounds <n>] [--seconds <length of a slice>]`;

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string", default: "15" }, seconds: { type: "string", default: "1" } },
  });
  const suite = SUITES[positionals[0] ?? ""];
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  const isSane = Number.isInteger(rounds) && rounds >= 1 && rounds <= 1_000 && seconds > 0 && seconds <= 30;
  if (suite === undefined || positionals.length !== 1 || !isSane) {
    console.error(usage);
    return 2;
  }
  if (!canPin())
    console.error("bench: processes are not held to cores here (no taskset, or one core): figures are noisier");
  const sliceMs = seconds * 1_000;
  const figures = await suite({ rounds, sliceMs, warmUpMs: Math.min(WARM_UP_MS, 2 * sliceMs) });
  for (const line of figures.flatMap(linesOf)) console.log(line);
  console.log(summaryOf(figures));
  return 0;
}

try {
  process.exitCode = await main();
} catch (cause) {
  console.error(`bench: could not be measured: ${cause instanceof Error ? cause.message : String(cause)}`);
  process.exitCode = 1;
}
