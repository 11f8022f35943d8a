import { MEASURED_CORE, startProcess } from "./bench-process.ts";
import type { VerifyAnswer } from "./messages.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";

const TOKENS_PER_ROUND = 100;
const WARM_UP_ROUNDS = 3;

/** What a token costs that nobody has seen, beside jose's own call (promises.md P2; limited by a later issue). */
export async function verifySuite({ rounds }: Pick<RoundOptions, "rounds">): Promise<Figure[]> {
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
      { name: "P2.first_seen", quartiles: ratios, unit: "x", limit: "-" },
      { name: "P2.first_seen_us", quartiles: micros, unit: "us", limit: "-" },
    ];
  } finally {
    verifier.stop();
  }
}
