import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type BuildOptions, build } from "esbuild";
import { publishedSdk } from "../../runtimes/sdk-build.ts";
import { startWorkerd } from "../../runtimes/workerd.ts";
import { installOnDemand } from "../../support/on-demand.ts";
import { ROOT } from "../../support/source-file.ts";
import { startTokenWorld, type TokenWorld } from "../../support/token-world.ts";
import { CASES, type PeerCase } from "./cases.ts";
import type { ClientName } from "./clients.ts";

/** The columns. Not imported: this process does not load the peers. */
export const NAMES: readonly ClientName[] = [
  "conduit",
  "axios-auth-refresh",
  "badgateway",
  "oidc-client-ts",
  "supabase",
];

/** One client in one case. */
export interface Cell {
  readonly client: ClientName;
  readonly case: string;
  readonly isGood: boolean;
  /** What the callers got and what the server saw. */
  readonly text: string;
}

const CELL_TIMEOUT_MS = 30_000;
const HANG_MS = 4_000;

/** Runs every client through every case. `folder` holds a build of the SDK (`buildSdk`) and takes what is bundled. */
export async function measureCells(folder: string): Promise<Cell[]> {
  await using world = await startTokenWorld();
  const [program, worker] = [await bundle(folder, "cell"), await bundle(folder, "worker")];
  const cells: Cell[] = [];
  for (const [name, it] of Object.entries(CASES)) {
    const measureOne = async (client: ClientName, index: number) => {
      const room = `${Object.keys(CASES).indexOf(name)}-${index}`;
      world.set(room, it.settings ?? {});
      const outcome =
        it.runtime === "workerd"
          ? await callAbandoned(worker, client, `${world.url}/${room}`)
          : await runCell(nodeOf(it), [program, client, name, `${world.url}/${room}`], folder);
      return cellOf(world, room, client, name, outcome);
    };
    cells.push(...(await Promise.all(NAMES.map(measureOne))));
  }
  return cells;
}

/** A table for people, a line each. */
export function linesOfCells(cells: readonly Cell[]): string[] {
  const lines = Object.keys(CASES).flatMap((name) => [
    `# ${name}`,
    ...cells
      .filter((cell) => cell.case === name)
      .map(({ client, isGood, text: what }) => `#   ${client.padEnd(20)} ${isGood ? "ok   " : "FAILS"} ${what}`),
  ]);
  return [
    "# the same situations, by this SDK and by others: what callers got · what the server saw",
    "# oidc-client-ts and supabase keep tokens only: an app's own loop over fetch sends them, and once more after a 401",
    ...lines,
  ];
}

function cellOf(world: TokenWorld, room: string, client: ClientName, name: string, outcome: readonly string[]): Cell {
  const log = world.log(room);
  const { refreshes, replays, reuses, leaks, requests } = log;
  const { isGood, body } = CASES[name] ?? {};
  const isCutShort = body !== undefined && requests.some((one) => one.method === "POST" && one.body !== body);
  const seen = [
    refreshes === 1 ? "1 refresh" : `${refreshes} refreshes`,
    replays ? "the same attempt again" : "",
    isCutShort ? "the body sent again without its content" : "",
    reuses ? "a refresh token twice: session ended" : "",
    leaks.length ? `leaked ${leaks.map((line) => line.split(":")[0]).join(", ")}` : "",
  ];
  const what = [outcome.join(", "), ...seen.filter((part) => part !== "")].join(" · ");
  return { client, case: name, isGood: isGood?.(outcome, log) ?? false, text: what };
}

const nodeOf = ({ runtime }: PeerCase) =>
  runtime === undefined ? process.execPath : join(installOnDemand("runtimes"), runtime, "bin/node");

/** What the callers got; one that never ends got nothing. */
async function runCell(node: string, args: readonly string[], cwd: string): Promise<readonly string[]> {
  const child = spawn(node, args, { cwd, timeout: CELL_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"] });
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (out === "") return [error.split("\n")[0] || `no answer within ${CELL_TIMEOUT_MS} ms`];
  return JSON.parse(out) as string[];
}

/** A request that leaves, and two that come later. */
async function callAbandoned(script: string, client: ClientName, room: string): Promise<readonly string[]> {
  await using workerd = await startWorkerd(join(installOnDemand("runtimes"), "workerd/bin/workerd"), script, "ignore");
  const query = `client=${client}&room=${encodeURIComponent(room)}`;
  const ask = (path: string, timeoutMs: number) =>
    fetch(`${workerd.url}${path}?${query}`, { signal: AbortSignal.timeout(timeoutMs) }).then(
      (response) => response.text(),
      (error: Error) => (error.name === "TimeoutError" ? `no answer within ${timeoutMs} ms` : String(error)),
    );
  await ask("/abandon", HANG_MS);
  // Our own limit of a refresh is 10 s, and counts from its beginning.
  return [await ask("/call", 12_000), await ask("/call", HANG_MS)];
}

/** How each of the two programs is put together; the API's messages come from their source, the SDK as it is published. */
const BUNDLES = {
  cell: { extension: "cjs", options: { platform: "node", format: "cjs", conditions: ["conduit-source"] } },
  worker: {
    extension: "mjs",
    options: { platform: "browser", format: "esm", conditions: ["conduit-source", "workerd", "worker", "browser"] },
  },
} as const satisfies Readonly<Record<string, { readonly extension: string; readonly options: BuildOptions }>>;

async function bundle(folder: string, entry: keyof typeof BUNDLES): Promise<string> {
  const { extension, options } = BUNDLES[entry];
  const outfile = join(folder, `${entry}.${extension}`);
  await build({
    ...options,
    conditions: [...options.conditions],
    entryPoints: [join(ROOT, "test/bench/peers", `${entry}.ts`)],
    outfile,
    bundle: true,
    target: "es2022",
    nodePaths: [installOnDemand("peers")],
    plugins: [publishedSdk(folder)],
    logLevel: "error",
    logOverride: { "ignored-bare-import": "silent" },
  });
  return outfile;
}
