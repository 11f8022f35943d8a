import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type Commit, sharedNowMs } from "./config-messages.ts";
import type { ConfigWorld } from "./config-world.ts";

/** Between an answer and the next request: often enough for milliseconds, and the proxy is not kept busy by it. */
const PAUSE_MS = 1;
const ENFORCED_MAX_MS = 10_000;

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Which version of the probe's link a proxy judges by: its refusal says so. Undefined = another answer. */
async function versionAt(port: number, { path, linkToken }: ConfigWorld["probe"]): Promise<number | undefined> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { "x-access-token": linkToken };
    const call = request({ host: "127.0.0.1", port, path, headers, agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => resolve(body));
    });
    call.on("error", reject).end();
  });
  const found = /"detail":"version (\d+)"/.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Asks until the answer is by this version; returns when that answer was there. @throws Error when it does not come */
export async function untilEnforced(port: number, probe: ConfigWorld["probe"], version: number): Promise<number> {
  const untilMs = sharedNowMs() + ENFORCED_MAX_MS;
  while (sharedNowMs() < untilMs) {
    if ((await versionAt(port, probe)) === version) return sharedNowMs();
    await delay(PAUSE_MS);
  }
  throw new Error(`the proxy does not judge by version ${version}`);
}

/** Milliseconds from the beginning of a change's commit to the first answer that was judged by it. */
export async function enforcedAfterMs(port: number, world: ConfigWorld, version: number): Promise<number> {
  const enforced = untilEnforced(port, world.probe, version);
  const [{ atMs }, enforcedAtMs]: [Commit, number] = await Promise.all([world.changeProbe(version), enforced]);
  return enforcedAtMs - atMs;
}
