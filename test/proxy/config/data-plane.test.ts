// promises.md R1: follows the stream, serves without it, starts again from its sealed snapshot.
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import { createDialer } from "../../../server/src/outbound/dialer.ts";
import { createResolver } from "../../../server/src/outbound/resolver.ts";
import { SNAPSHOT_FILE } from "../../../server/src/proxy/config/disk-snapshot.ts";
import { createDataPlane } from "../../../server/src/proxy/data-plane.ts";
import { systemRandom } from "../../../server/src/random.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { tmpDirOfTest } from "../../support/tmp-dir.ts";
import { until } from "../../support/until.ts";
import { HIDDEN_KEY, HMAC_SECRET, LINK_ID, LINK_NAME, LINK_TOKEN, linkOf, userToken } from "../harness.ts";
import { CREDENTIAL, demoResources, FakeLog, startFakeControl } from "./fake-control.ts";

async function startPlane(ports: readonly number[], dataDir: string, credential = CREDENTIAL) {
  const plane = createDataPlane({
    ...{ clock: systemClock, random: systemRandom, log: pino({ level: "silent" }), registry: new Registry() },
    ...{ dataDir, credential, proxyVersion: "1.2.3", fetchJson: () => Promise.reject(new Error("no JWKS here")) },
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
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${LINK_ID}`;
  const headers = { "x-access-token": LINK_TOKEN, authorization: `Bearer ${userToken()}` };
  const status = async () => (await fetch(`${url}/x`, { headers })).status;
  return { plane, stop, status };
}

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
    const { plane, stop } = await startPlane([control.port], dataDir);
    await plane.whenReady();
    await stop();
    control.stop();
    return { dataDir, port: control.port, path: join(dataDir, SNAPSHOT_FILE) };
  };

  test("is readable by its owner only and holds nothing in clear", async () => {
    const { path } = await prepare();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const bytes = readFileSync(path).toString("latin1");
    for (const text of [HIDDEN_KEY, HMAC_SECRET, LINK_ID, "127.0.0.1"]) expect(bytes).not.toContain(text);
  });

  test("that was changed, or is another proxy's, is left alone: the proxy waits for its stream", async () => {
    const { dataDir, port, path } = await prepare();
    const other = await startPlane([port], dataDir, new SecretText("cl_prx_other0123456789abcdefg_000000"));
    expect(await other.status()).toBe(503);
    await other.stop();
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await (await startPlane([port], dataDir)).status()).toBe(503);
  });
});
