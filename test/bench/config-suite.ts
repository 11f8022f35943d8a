import { spawnSync } from "node:child_process";
import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { type BenchProcess, canPin, MEASURED_CORE, OTHER_CORE, startProcess } from "./bench-process.ts";
import { type Fanout, fanoutFigures } from "./config-fanout.ts";
import type { ConfigServerSetup } from "./config-messages.ts";
import { oneProxyFigures } from "./config-one.ts";
import { sizeFigures } from "./config-size.ts";
import { type ConfigWorld, openConfigWorld } from "./config-world.ts";
import type { Figure } from "./report.ts";
import type { RoundOptions } from "./rounds.ts";
import { lookupFigures } from "./verify-suite.ts";

/** Links there are while changes are measured. */
const LINKS = 50;
const STREAMS = 1_000;
/** As far as the machine carries, and rounds of it: a change to all of them takes a second of each core. */
const STREAMS_MANY = 10_000;
const MANY = { rounds: 3, sliceMs: 3_000, warmUpMs: 1_000 };

/** The look-ups in a large installation, as the suite `verify` prints them, with fewer rounds. */
const LOOKUP_ROUNDS = 5;

/** How quickly changes reach proxies, and what large installations cost them (promises.md P4, P5). */
export async function configSuite(options: RoundOptions): Promise<Figure[]> {
  // What is started from here inherits it: the database's work is not the control plane's.
  if (canPin()) spawnSync("taskset", ["-cp", String(OTHER_CORE), String(process.pid)], { stdio: "ignore" });
  const database = await startPostgres();
  const inWorld = async (measure: (world: ConfigWorld) => Promise<Figure[]>): Promise<Figure[]> => {
    const linkToken = generateToken("linkToken", systemRandom).reveal();
    const world = await openConfigWorld(await database.createDatabase(), linkToken);
    return measure(world).finally(() => world.close());
  };
  try {
    const change = await inWorld((world) => changeFigures(world, options));
    const size = await inWorld((world) => sizeFigures(world, () => startControl(world, OTHER_CORE), options));
    // The rules' figures are the suite `verify`'s: they need more rounds to be warm.
    const lookups = await lookupFigures(Math.min(options.rounds, LOOKUP_ROUNDS));
    return [...change, ...size, ...lookups.filter(({ name }) => name === "P4.route_ns")];
  } finally {
    await database.stop();
  }
}

/** @param core where a proxy is what is measured: the other one */
async function startControl(
  world: ConfigWorld,
  core = MEASURED_CORE,
): Promise<BenchProcess & { readonly credential: string }> {
  const control = await startProcess("config-server.ts", core, [world.databaseUrl, world.masterKey]);
  const { proxyCredential } = await control.ask<ConfigServerSetup>("setup");
  return { ...control, credential: proxyCredential };
}

async function changeFigures(world: ConfigWorld, options: RoundOptions): Promise<Figure[]> {
  await world.addLinks(LINKS, true);
  const first = await startControl(world);
  const replicas: BenchProcess[] = [first];
  try {
    const { port, credential } = first;
    const one = await oneProxyFigures(world, { port, credential }, options);
    const limits = { p50: { at: "most", value: 100 }, p99: { at: "most", value: 400 } } as const;
    const fanout = (name: string, streams: number, more: Partial<Fanout> = {}): Fanout => ({
      ...{ name, streams, credential, replicas: [...replicas], hasStorms: true },
      ...more,
    });
    const single = await fanoutFigures(world, fanout("fanout", STREAMS, { limits }), options);
    replicas.push(await startControl(world));
    const two = await fanoutFigures(world, fanout("two_replicas", STREAMS), options);
    const many = await fanoutFigures(
      world,
      fanout("many", STREAMS_MANY, { replicas: [first], hasStorms: false }),
      MANY,
    );
    return [...one, ...single, ...two, ...many];
  } finally {
    for (const replica of replicas) replica.stop();
  }
}
