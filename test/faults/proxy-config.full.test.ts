// promises.md R1, R2, R3, R7, R9 at the proxy's end: a real `conduit proxy` under a control plane of the test's choice.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { CLAIMS, mixedIn, versionOf } from "../proxy/config/changing.ts";
import {
  demoResources,
  type FakeControl,
  FakeLog,
  sealedSecret,
  startFakeControl,
} from "../proxy/config/fake-control.ts";
import { LINK_ID, LINK_NAME, LINK_TOKEN, linkOf, userToken } from "../proxy/harness.ts";
import { type ConduitProcess, launchConduit } from "../support/conduit-process.ts";
import { startHttpServer } from "../support/http-server.ts";
import { isInstalled } from "../support/installed.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

const FEED_MS = 20_000;
const DAY_S = 86_400;
const credential = generateToken("proxyCredential", systemRandom).reveal();

const sendWhole = (log: FakeLog) =>
  startFakeControl((call) => {
    call.write(log.hello(true, 1_000));
    for (const chunk of log.snapshot()) call.write(chunk);
  });

const startProxy = (control: FakeControl, dataDir: string, env: Record<string, string> = {}) =>
  launchConduit("proxy", {
    dataDir,
    args: ["--control", `127.0.0.1:${control.port}`],
    env: { ...env, CONDUIT_PROXY_CREDENTIAL: credential },
  });

const request = ({ ports }: ConduitProcess, token: string) =>
  fetch(`http://127.0.0.1:${ports.proxy}/${LINK_ID}/x`, {
    headers: { "x-access-token": LINK_TOKEN, authorization: `Bearer ${token}` },
  });

const metric = async ({ ports }: ConduitProcess, name: string): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
  return Number(new RegExp(`^conduit_proxy_config_${name} (.*)$`, "m").exec(text)?.[1]);
};

/** Commits and sends changes at a rate until it is stopped. */
function feed(log: FakeLog, control: FakeControl, upstreamUrl: string, perSecond: number) {
  const startMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (const due = ((performance.now() - startMs) / 1000) * perSecond; sent < due; ) {
      sent += 1;
      control.watches.at(-1)?.call.write(log.commit(...versionOf(sent, upstreamUrl)));
    }
  }, 2);
  const stop = () => {
    clearInterval(timer);
    return sent / ((performance.now() - startMs) / 1000);
  };
  onTestFinished(() => void stop());
  return stop;
}

test("R3: 1,000 changes a second by the stream while it serves: every answer belongs to one whole version", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url), ...versionOf(0, upstream.url));
  const control = await sendWhole(log);
  await using proxy = await startProxy(control, tmpDirOfTest());
  const stop = feed(log, control, upstream.url, 1_000);
  const endMs = performance.now() + FEED_MS;
  const statuses = new Map<number, number>();
  const client = async (name: number) => {
    for (let at = 0; performance.now() < endMs; at += 1) {
      const { status, body } = await request(proxy, userToken({ ...CLAIMS, nonce_of_test: `${name} ${at}` }));
      await body?.cancel();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all([1, 2, 3].map(client));
  const rate = stop();
  const { mixed, versions } = mixedIn(upstream);
  console.log(
    `${rate.toFixed(0)} changes/s, ${upstream.requests.length / (FEED_MS / 1000)} requests/s, ${versions.size} versions`,
  );
  expect([mixed, [...statuses.keys()]]).toEqual([[], [200]]);
  expect(control.watches).toHaveLength(1);
  await until(
    "the last change is in force",
    async () => (await metric(proxy, "sequence")) === Number(log.sequence) || undefined,
    30_000,
  );
});

test("R1, R2: killed while changes come, it starts from its disk at one whole version, its digest the control plane's, and goes on from there", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url), ...versionOf(0, upstream.url));
  const digests = new Map([[log.sequence, log.digest]]);
  const control = await sendWhole(log);
  const dataDir = tmpDirOfTest();
  for (let round = 0; round < 3; round += 1) {
    const proxy = await startProxy(control, dataDir);
    const open = control.watches.length;
    await until("its stream", () => control.watches.at(-1));
    for (let at = 0; at < 400; at += 1) {
      control.watches.at(-1)?.call.write(log.commit(...versionOf(at, upstream.url)));
      digests.set(log.sequence, log.digest);
      await delay(2);
    }
    await proxy.stop("SIGKILL");
    await using alone = await startProxy(control, dataDir);
    expect((await request(alone, userToken(CLAIMS))).status).toBe(200);
    const resumed = await until("its resume", () => control.watches[open]?.request.resumeFrom);
    expect(Buffer.from(resumed.stateDigest)).toEqual(Buffer.from(digests.get(resumed.sequence) ?? []));
    expect(log.sequence - resumed.sequence).toBeLessThan(1_000n);
  }
  expect(mixedIn(upstream).mixed).toEqual([]);
});

const isRoot = process.getuid?.() === 0;

describe.runIf(isRoot)("R9: a small disk", () => {
  const mount = (dataDir: string, options: string) =>
    spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dataDir], { encoding: "utf8" });

  test("full, read-only, and with room again: it serves throughout, says so, and keeps its configuration when it can", async () => {
    await using upstream = await startHttpServer();
    const dataDir = join(tmpDirOfTest(), "data");
    mkdirSync(dataDir, { mode: 0o700 });
    const mounted = mount(dataDir, "size=256k,mode=0700");
    if (mounted.status !== 0) {
      console.warn("a tmpfs cannot be mounted here: the test of a full disk was not run");
      return;
    }
    onTestFinished(() => void spawnSync("umount", ["-l", dataDir]));
    const log = new FakeLog();
    const large = Array.from({ length: 200 }, (_, at) => sealedSecret(`large-${at}`, "x".repeat(4_000)));
    log.commit(...demoResources(upstream.url), ...large);
    const control = await sendWhole(log);
    const proxy = await startProxy(control, dataDir);
    await proxy.untilPrinted("cannot be kept on disk", 20_000);
    expect((await request(proxy, userToken())).status).toBe(200);
    expect(await metric(proxy, "disk_failures_total")).toBeGreaterThan(0);
    mount(dataDir, "remount,size=16m,mode=0700");
    await proxy.untilPrinted("is kept on disk again", 70_000);
    mount(dataDir, "remount,ro,size=16m,mode=0700");
    control.watches[0]?.call.write(
      log.commit({ kind: "link", name: LINK_NAME, link: linkOf(upstream.url, { state: "DISABLED" }) }),
    );
    await until("the change is in force", async () => (await request(proxy, userToken())).status === 403 || undefined);
    mount(dataDir, "remount,rw,size=16m,mode=0700");
    await proxy.stop();
    control.stop();
    await using again = await startProxy(control, dataDir);
    expect((await request(again, userToken())).status).toBe(403);
  }, 120_000);
});

const fakeTime = (): string | undefined => {
  if (!isInstalled("faketime", "faketime")) return undefined;
  // Debian: /usr/lib/<machine>/faketime/
  return readdirSync("/usr/lib")
    .map((machine) => join("/usr/lib", machine, "faketime/libfaketime.so.1"))
    .find((path) => existsSync(path));
};

const loggedWithin = ({ stdout, stderr }: ConduitProcess, timeMs: number, ms: number): boolean => {
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line.startsWith("{"));
  const { time } = JSON.parse(lines.at(-1) ?? "{}") as { time?: string | number };
  return Math.abs(new Date(time ?? 0).getTime() - timeMs) < ms;
};

test("R7: when its clock jumps a day ahead or back, a link with max_config_age is served on, and age counts as before", async () => {
  const library = fakeTime();
  if (library === undefined) return;
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  // No user tokens: theirs is another clock's matter.
  log.commit(
    ...demoResources(upstream.url, {
      userTokenMode: "OFF",
      issuers: [],
      claimHeaders: [],
      limits: [],
      maxConfigAgeMs: 60_000,
      rules: [{ effect: "ALLOW", methods: [], path: "/**", query: {}, claims: [], message: "" }],
    }),
  );
  const control = await sendWhole(log);
  const file = join(tmpDirOfTest(), "faketime");
  const jump = (seconds: number) => writeFileSync(file, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}s\n`);
  jump(0);
  await using proxy = await startProxy(control, tmpDirOfTest(), {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  });
  for (const seconds of [0, DAY_S, -DAY_S, 0]) {
    jump(seconds);
    const answered = await request(proxy, "unused");
    expect([seconds, answered.status]).toEqual([seconds, 200]);
    // The process does see the jump: its log says so.
    await until("a line of that time", () => loggedWithin(proxy, Date.now() + seconds * 1000, 5_000) || undefined);
    expect(await metric(proxy, "current_age_seconds")).toBeLessThan(60);
  }
  expect(readFileSync(file, "utf8")).toBe("+0s\n");
});
