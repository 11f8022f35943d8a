import { createPrivateKey } from "node:crypto";
import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { type BenchProcess, MEASURED_CORE, OTHER_CORE, startProcess } from "./bench-process.ts";
import type { LoadAnswer, LoadOrder } from "./messages.ts";
import { quartilesOf } from "./quartiles.ts";
import type { Figure } from "./report.ts";
import { makeKeys, requestOf, signToken } from "./workload.ts";

/** Of each kind and round: every one is seen once. */
const TOKENS = 200;
const WARM_UP_ROUNDS = 3;
const CONNECTIONS = 16;

/** What a forged token costs the whole proxy, beside a good one that nobody has seen (promises.md P2). */
export async function floodFigures(rounds: number): Promise<Figure[]> {
  const { privateKey, jwks } = await makeKeys();
  const forger = createPrivateKey((await makeKeys()).privateKey.export({ type: "pkcs8", format: "pem" }));
  const linkToken = generateToken("linkToken", systemRandom).reveal();
  const upstream = await startProcess("upstream.ts", OTHER_CORE, [
    Buffer.from(JSON.stringify(jwks)).toString("base64"),
  ]);
  const started: BenchProcess[] = [upstream];
  try {
    const proxy = await startProcess("conduit-proxy.ts", MEASURED_CORE, [String(upstream.port), linkToken]);
    started.push(proxy);
    const load = await startProcess("load-generator.ts", OTHER_CORE);
    started.push(load);
    let made = 0;
    /** CPU microseconds per request, each with a token of its own. */
    const costOf = async (key: typeof privateKey, status: number): Promise<number> => {
      const users = Array.from({ length: TOKENS }, () => `user-${made++}`);
      const requests = users.map(async (user) => requestOf(user, await signToken(key, user, user), linkToken));
      await load.ask({ workload: "once", requests: await Promise.all(requests) });
      await proxy.cpuSinceLast();
      const mode = { kind: "once", connections: CONNECTIONS, status } as const;
      const order: LoadOrder = { port: proxy.port, durationMs: 30_000, mode, workload: "once" };
      const { completed, failures } = await load.ask<LoadAnswer>(order);
      if (completed !== TOKENS) throw new Error(`not every answer was ${status}: ${JSON.stringify(failures)}`);
      return (await proxy.cpuSinceLast()) / TOKENS;
    };
    const costs: { readonly valid: number; readonly invalid: number }[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
      const cost = { valid: await costOf(privateKey, 200), invalid: await costOf(forger, 401) };
      if (round >= WARM_UP_ROUNDS) costs.push(cost);
    }
    const quartiles = quartilesOf(costs.map(({ valid, invalid }) => invalid / valid));
    const micros = quartilesOf(costs.map(({ invalid }) => invalid));
    return [
      { name: "P2.invalid_flood", quartiles, unit: "x", limit: { at: "most", value: 2 } },
      { name: "P2.invalid_flood_us", quartiles: micros, unit: "us", limit: "-" },
    ];
  } finally {
    for (const process of started) process.stop();
  }
}
