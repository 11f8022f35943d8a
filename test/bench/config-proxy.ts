// Process: a data plane as `conduit proxy` runs it. Arguments: the control plane's port, the credential and the data
// directory. Asked "ready", it answers when it serves; asked "rest", when it has nothing left to do, with what it takes.
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { Registry } from "prom-client";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { startDataPlane } from "../../server/src/run/data-plane.ts";
import { collectedResidentBytes } from "./config-memory.ts";
import type { ReadyAnswer, RestAnswer } from "./config-messages.ts";
import { serveParent } from "./messages.ts";

const IDLE_WINDOW_MS = 500;
const IDLE_SHARE = 0.05;

const pauses = monitorEventLoopDelay({ resolution: 2 });
pauses.enable();
let peakBytes = 0;
setInterval(() => {
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
}, 20);

const [controlPort = "", credential = "", dataDir = ""] = process.argv.slice(2);
const startMs = performance.now();
const { plane, port } = await startDataPlane({
  host: "127.0.0.1",
  port: 0,
  tls: undefined,
  dataDir,
  trustedProxies: [],
  credential: new SecretText(credential),
  controls: [{ address: { host: "127.0.0.1", port: Number(controlPort) }, tls: undefined }],
  log: pino({ level: "warn" }, pino.destination({ dest: 2, sync: true })),
  registry: new Registry(),
});
const readiness = plane.whenReady().then((): ReadyAnswer => {
  const sinceProcessMs = performance.now();
  const { user, system } = process.cpuUsage();
  return { sinceProcessMs, sincePlaneMs: sinceProcessMs - startMs, cpuMs: (user + system) / 1_000 };
});

/** Links are compiled once and written to disk after it serves; memory is looked at when that is done. */
async function rest(): Promise<RestAnswer> {
  await readiness;
  for (let share = 1; share > IDLE_SHARE; ) {
    const before = performance.eventLoopUtilization();
    await delay(IDLE_WINDOW_MS);
    share = performance.eventLoopUtilization(before).utilization;
  }
  const [pauseMsMax, pauseMsP99] = [pauses.max / 1e6, pauses.percentile(99) / 1e6];
  const uncollectedBytes = process.memoryUsage.rss();
  const residentBytes = await collectedResidentBytes();
  const { links, rejected } = plane.status();
  return { residentBytes, uncollectedBytes, peakBytes, links, rejected: rejected.length, pauseMsMax, pauseMsP99 };
}

process.on("message", (message: string) => {
  if (message === "ready") void readiness.then((answer) => process.send?.(answer));
  if (message === "rest") void rest().then((answer) => process.send?.(answer));
});
serveParent(port);
