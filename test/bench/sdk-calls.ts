// Process: calls of a fetch that answers at once, by itself and through the SDK, and what each cost. Its one argument is the folder of a built SDK.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type CallsAnswer, serveParent } from "./messages.ts";

/** Calls of one kind in a row, before it is the other's turn: what the machine does meanwhile meets both alike. */
const CHUNK = 250;
const CHUNKS = 20;

const entry = pathToFileURL(join(process.argv[2] ?? "", "dist/index.js")).href;
const { createConduit } = (await import(entry)) as typeof import("../../sdk/src/index.ts");

const url = "https://proxy.bench.example/link/api/users/42/profile";
const answer = new Response(null, { status: 204 });
const stub = async () => answer;
const credentials = { Authorization: "Bearer a-users-token", "X-Access-Token": "cl_pub_bench" };
const plain = (target: string, init: RequestInit): Promise<Response> => (stub as typeof fetch)(target, init);
const { fetchWithAuth } = createConduit({
  url: "https://proxy.bench.example/link",
  linkToken: "cl_pub_bench",
  getToken: () => ({ token: "a-users-token", expiresIn: 3_600 }),
  platform: { fetch: stub },
});

/** CPU microseconds of one chunk. */
async function costOf(call: () => Promise<Response>): Promise<number> {
  const before = process.cpuUsage();
  for (let index = 0; index < CHUNK; index += 1) await call();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function run(): Promise<CallsAnswer> {
  const sums = { plainMicros: 0, conduitMicros: 0 };
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    sums.plainMicros += await costOf(() => plain(url, { headers: credentials }));
    sums.conduitMicros += await costOf(() => fetchWithAuth("/api/users/42/profile"));
  }
  const calls = CHUNK * CHUNKS;
  return { plainMicros: sums.plainMicros / calls, conduitMicros: sums.conduitMicros / calls };
}

process.on("message", (message) => {
  if (message === "cpu") return;
  run().then(
    (measured) => process.send?.(measured),
    (cause: unknown) => {
      console.error(`sdk-calls: ${String(cause)}`);
      process.exit(1);
    },
  );
});
serveParent(0);
