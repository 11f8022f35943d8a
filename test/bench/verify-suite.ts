import { MEASURED_CORE, startProcess } from "./bench-process.ts";
import { floodFigures } from "./flood.ts";
import type { LookupAnswer, VerifyAnswer } from "./messages.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure, Limit } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";

const TOKENS_PER_ROUND = 100;
const WARM_UP_ROUNDS = 3;

const most = (value: number): Limit => ({ at: "most", value });

/** Verification and look-ups by CPU (promises.md P2, P4). */
export async function verifySuite({ rounds }: Pick<RoundOptions, "rounds">): Promise<Figure[]> {
  return [...(await firstSeenFigures(rounds)), ...(await floodFigures(rounds)), ...(await lookupFigures(rounds))];
}

/** What a token costs that nobody has seen, beside jose's own call. */
async function firstSeenFigures(rounds: number): Promise<Figure[]> {
  const verifier = await startProcess("verifier.ts", MEASURED_CORE);
  try {
    const answers: VerifyAnswer[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
      const answer = await verifier.ask<VerifyAnswer>({ verify: TOKENS_PER_ROUND });
      if (round >= WARM_UP_ROUNDS) answers.push(answer);
    }
    const ratios = quartilesOf(answers.map(({ conduitMicros, joseMicros }) => conduitMicros / joseMicros));
    const micros = quartilesOf(answers.map(({ conduitMicros }) => conduitMicros));
    return [
      { name: "P2.first_seen", quartiles: ratios, unit: "x", limit: most(1.3) },
      { name: "P2.first_seen_us", quartiles: micros, unit: "us", limit: "-" },
    ];
  } finally {
    verifier.stop();
  }
}

/** Route and revocation look-up at 100,000 links and 1,000,000 revocations; a thousand rules at their worst. */
export async function lookupFigures(rounds: number): Promise<Figure[]> {
  const lookups = await startProcess("lookups.ts", MEASURED_CORE);
  try {
    const answers: LookupAnswer[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
      const answer = await lookups.ask<LookupAnswer>("lookups");
      if (round >= WARM_UP_ROUNDS) answers.push(answer);
    }
    const of = (field: keyof LookupAnswer) => quartilesOf(answers.map((answer) => answer[field]));
    return [
      { name: "P4.route_ns", quartiles: of("routeNs"), unit: "ns", limit: most(2_000) },
      { name: "P4.rules_match_us", quartiles: of("matchMicros"), unit: "us", limit: most(20) },
      { name: "P4.rules_compile_ms", quartiles: of("compileMs"), unit: "ms", limit: most(1) },
    ];
  } finally {
    lookups.stop();
  }
}
