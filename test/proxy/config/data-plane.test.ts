// promises.md R1: follows the stream, serves without it, starts again from its sealed snapshot.
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { encodeHeartbeat } from "../../../server/src/config-log/frames.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import { SNAPSHOT_FILE } from "../../../server/src/proxy/config/disk-snapshot.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { tmpDirOfTest } from "../../support/tmp-dir.ts";
import { until } from "../../support/until.ts";
import { HIDDEN_KEY, HMAC_SECRET, LINK_ID, LINK_NAME, linkOf } from "../harness.ts";
import { CREDENTIAL, demoResources, FakeLog, startFakeControl } from "./fake-control.ts";
import { startPlane } from "./plane.ts";

test("follows the stream with its credential, acknowledges, and reports usage", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url));
  const control = await startFakeControl((call) => {
    call.write(log.hello(true));
    for (const chunk of log.snapshot()) call.write(chunk);
  });
  const { plane, status, stop } = await startPlane([control.port], tmpDirOfTest());
  expect(await status()).toBe(503);
  await plane.whenReady();
  expect(await status()).toBe(200);
  const [watch] = control.watches;
  expect(watch?.metadata.get("authorization")).toEqual([`Bearer ${CREDENTIAL.reveal()}`]);
  expect([watch?.request.proxyVersion, watch?.request.resumeFrom]).toEqual(["1.2.3", undefined]);
  await until("an acknowledgement", () => control.statuses.find(({ applied }) => applied?.sequence === 1n));
  watch?.call.write(log.commit({ kind: "link", name: LINK_NAME, link: linkOf(upstream.url, { state: "DISABLED" }) }));
  await until("the change is in force", async () => (await status()) === 403 || undefined);
  const bad = linkOf(upstream.url, {
    rules: [{ effect: "ALLOW", methods: [], path: "/{", query: {}, claims: [], message: "" }],
  });
  watch?.call.write(log.commit({ kind: "link", name: LINK_NAME, link: bad }));
  const rejection = await until("a rejection", () => control.statuses.find(({ rejected }) => rejected.length > 0));
  expect(rejection.rejected).toMatchObject([{ name: LINK_NAME, version: 3n }]);
  await stop();
  const counted = control.usage.flatMap(({ increments }) =>
    increments.map(({ outcome, requests }) => [outcome, requests]),
  );
  expect(counted).toContainEqual(["ok", 1n]);
  expect(counted).toContainEqual(["not_ready", 1n]);
});

test("keeps serving when the control plane is gone, also after its own restart, and resumes where it was", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url));
  const control = await startFakeControl((call) => {
    call.write(log.hello(true));
    for (const chunk of log.snapshot()) call.write(chunk);
  });
  const dataDir = tmpDirOfTest();
  const first = await startPlane([control.port], dataDir);
  await first.plane.whenReady();
  control.stop();
  expect(await first.status()).toBe(200);
  await first.stop();
  const second = await startPlane([control.port], dataDir);
  expect(await second.status()).toBe(200);
  const change = log.commit({ kind: "link", name: LINK_NAME, link: linkOf(upstream.url, { state: "DISABLED" }) });
  const back = await startFakeControl((call) => {
    call.write(log.hello(false));
    call.write(change);
  }, control.port);
  await until("the change is in force", async () => (await second.status()) === 403 || undefined, 8_000);
  expect(back.watches[0]?.request.resumeFrom).toMatchObject({ epoch: "epoch-1", sequence: 1n });
});

test("a stream that does not fit is left for a new one; another address is tried", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url));
  const broken = await startFakeControl((call) => {
    call.write(log.hello(true));
    call.write(log.snapshot()[1]!);
  });
  const good = await startFakeControl((call) => {
    call.write(log.hello(true));
    for (const chunk of log.snapshot()) call.write(chunk);
  });
  const { plane, status } = await startPlane([broken.port, good.port], tmpDirOfTest());
  await plane.whenReady();
  expect(await status()).toBe(200);
  expect([broken.watches.length, good.watches.length]).toEqual([1, 1]);
});

describe("the snapshot on disk", () => {
  /** A file with a whole state and a change behind it that switches the link off. */
  const prepare = async () => {
    const upstream = await startHttpServer();
    onTestFinished(() => upstream.close());
    const log = new FakeLog();
    log.commit(...demoResources(upstream.url));
    const control = await startFakeControl((call) => {
      call.write(log.hello(true));
      for (const chunk of log.snapshot()) call.write(chunk);
    });
    const dataDir = tmpDirOfTest();
    const path = join(dataDir, SNAPSHOT_FILE);
    const { plane, status, stop } = await startPlane([control.port], dataDir);
    await plane.whenReady();
    await until("the whole state is written", () => statSync(path, { throwIfNoEntry: false }));
    const link = linkOf(upstream.url, { state: "DISABLED" });
    control.watches[0]?.call.write(log.commit({ kind: "link", name: LINK_NAME, link }));
    await until("the change is in force", async () => (await status()) === 403 || undefined);
    await stop();
    control.stop();
    return { dataDir, port: control.port, path };
  };

  test("is readable by its owner only and holds nothing in clear", async () => {
    const { path } = await prepare();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const bytes = readFileSync(path).toString("latin1");
    for (const text of [HIDDEN_KEY, HMAC_SECRET, LINK_ID, "127.0.0.1"]) expect(bytes).not.toContain(text);
  });

  test("holds the changes behind the whole, and goes on to grow after a restart", async () => {
    const { dataDir, port, path } = await prepare();
    for (let round = 0; round < 2; round += 1) {
      const again = await startPlane([port], dataDir);
      expect(await again.status()).toBe(403);
      expect(again.plane.status().sequence).toBe(2n);
      await again.stop();
    }
    expect(readFileSync(path).subarray(0, 5).toString()).toBe("CLCFG");
  });

  test("of another proxy is left alone: the proxy waits for its stream", async () => {
    const { dataDir, port } = await prepare();
    const credential = new SecretText("cl_prx_other0123456789abcdefg_000000");
    expect(await (await startPlane([port], dataDir, { credential })).status()).toBe(503);
  });

  test("with one bit changed anywhere is refused in words, and written anew from the stream", async () => {
    const { dataDir, port, path } = await prepare();
    const good = readFileSync(path);
    // Format, file id, length, key id, nonce, ciphertext of the first and of the last part, tag.
    for (const at of [0, 5, 8, 24, 30, 45, 60, good.length - 60, good.length - 1]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      writeFileSync(path, bad);
      const { status, stop, logLines } = await startPlane([port], dataDir);
      expect([at, await status()]).toEqual([at, 503]);
      expect(logLines.join()).toContain("is refused; waiting for the control plane");
      await stop();
    }
  });

  test("whose last change was cut off by a crash opens without it", async () => {
    const { dataDir, port, path } = await prepare();
    const whole = readFileSync(path);
    truncateSync(path, whole.length - 3);
    const { status, stop } = await startPlane([port], dataDir);
    expect([200, 403]).toContain(await status());
    await stop();
    writeFileSync(path, whole);
    appendFileSync(path, Buffer.from([0, 0, 1, 0, 1]));
    expect(await (await startPlane([port], dataDir)).status()).toBe(403);
  });

  test("that cannot be written is told in the log and a metric, tried again, and stops nothing", async () => {
    await using upstream = await startHttpServer();
    const log = new FakeLog();
    log.commit(...demoResources(upstream.url));
    const control = await startFakeControl((call) => {
      call.write(log.hello(true));
      for (const chunk of log.snapshot()) call.write(chunk);
    });
    const dataDir = tmpDirOfTest();
    // A folder in its place: no file can be renamed onto it.
    const path = join(dataDir, SNAPSHOT_FILE);
    mkdirSync(join(path, "in-the-way"), { recursive: true });
    const { plane, status, logLines, registry } = await startPlane([control.port], dataDir);
    await plane.whenReady();
    await until("the refusal is told", () => logLines.find((line) => line.includes("cannot be kept on disk")));
    expect(await status()).toBe(200);
    expect(await registry.metrics()).toMatch(/conduit_proxy_config_disk_failures_total [1-9]/);
    rmSync(path, { recursive: true });
    await until("it is written", () => statSync(path, { throwIfNoEntry: false }), 8_000);
    expect(await status()).toBe(200);
  });
});

describe("a proxy that is cut off", () => {
  const cutOff = async (link: Parameters<typeof demoResources>[1], maxConfigAgeMs?: number) => {
    const upstream = await startHttpServer();
    onTestFinished(() => upstream.close());
    const log = new FakeLog();
    log.commit(...demoResources(upstream.url, link));
    const control = await startFakeControl((call) => {
      call.write(log.hello(true));
      for (const chunk of log.snapshot()) call.write(chunk);
    });
    let laterMs = 0;
    const clock = {
      now: () => systemClock.now() + laterMs,
      monotonic: () => systemClock.monotonic() + laterMs,
    };
    const dataDir = tmpDirOfTest();
    const options = { clock, ...(maxConfigAgeMs !== undefined && { maxConfigAgeMs }) };
    const proxy = await startPlane([control.port], dataDir, options);
    await proxy.plane.whenReady();
    const wait = (ms: number) => {
      laterMs += ms;
    };
    return { ...proxy, wait, log, control, dataDir, options, upstream };
  };

  test("refuses a link's requests once the link's max_config_age is over, and serves again when it is current", async () => {
    const { call, status, wait, log, control, upstream } = await cutOff({ maxConfigAgeMs: 60_000 });
    wait(59_000);
    expect(await status()).toBe(200);
    wait(1_100);
    const refused = await call();
    expect([refused.status, refused.headers.get("x-conduit-error")]).toEqual([503, "config_stale"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(upstream.requests).toHaveLength(1);
    control.watches[0]?.call.write(encodeHeartbeat(log.sequence, log.digest, 0));
    await until("it is current", async () => (await status()) === 200 || undefined);
  });

  test("counts the age on over a restart, from what its snapshot says", async () => {
    const { status, stop, wait, control, dataDir, options } = await cutOff({ maxConfigAgeMs: 60_000 });
    expect(await status()).toBe(200);
    await stop();
    control.stop();
    wait(61_000);
    const again = await startPlane([control.port], dataDir, options);
    expect((await again.call()).headers.get("x-conduit-error")).toBe("config_stale");
  });

  test("serves on without end when nobody asks otherwise, and nothing beyond --max-config-age", async () => {
    const free = await cutOff({});
    free.wait(120_000);
    expect([await free.status(), free.plane.notReady()]).toEqual([200, undefined]);
    const bound = await cutOff({}, 60_000);
    expect(bound.plane.notReady()).toBeUndefined();
    bound.wait(61_000);
    expect([await bound.status(), bound.plane.notReady()]).toEqual([503, expect.stringContaining("--max-config-age")]);
  });
});
