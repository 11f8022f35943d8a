// A data plane on a port of its own, following control planes of the test's choice.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../../server/src/clock.ts";
import { createDialer } from "../../../server/src/outbound/dialer.ts";
import { createResolver } from "../../../server/src/outbound/resolver.ts";
import { createDataPlane } from "../../../server/src/proxy/data-plane.ts";
import { systemRandom } from "../../../server/src/random.ts";
import { LINK_ID, LINK_TOKEN, userToken } from "../harness.ts";
import { CREDENTIAL } from "./fake-control.ts";

export interface PlaneOptions {
  readonly credential?: typeof CREDENTIAL;
  readonly clock?: Clock;
  readonly maxConfigAgeMs?: number;
}

/** Its log lines are kept. `stop` may be called twice. */
export async function startPlane(ports: readonly number[], dataDir: string, options: PlaneOptions = {}) {
  const { credential = CREDENTIAL, clock = systemClock, maxConfigAgeMs } = options;
  const logLines: string[] = [];
  const registry = new Registry();
  const plane = createDataPlane({
    ...{ clock, random: systemRandom, registry, dataDir, credential, maxConfigAgeMs, proxyVersion: "1.2.3" },
    log: pino({ level: "info" }, { write: (line: string) => logLines.push(line) }),
    fetchJson: () => Promise.reject(new Error("no JWKS here")),
    controls: ports.map((port) => ({ address: { host: "127.0.0.1", port }, tls: undefined })),
    dial: createDialer(createResolver({ clock: systemClock })),
  });
  const server = createServer(plane.serverOptions);
  for (const [event, handler] of Object.entries(plane.handlers)) server.on(event, handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await plane.start();
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    server.close();
    server.closeAllConnections();
    await plane.stop();
  };
  onTestFinished(stop);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call = (path = "/x", linkId = LINK_ID, token = userToken()) => {
    const headers = { "x-access-token": LINK_TOKEN, authorization: `Bearer ${token}` };
    return fetch(`${origin}/${linkId}${path}`, { headers });
  };
  const status = async () => (await call()).status;
  return { plane, stop, call, status, logLines, registry };
}
