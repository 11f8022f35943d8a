// R2, R3 from the database to the upstream: a server on PostgreSQL and a proxy apart, changed a hundred times a second while the
// proxy serves as much as the machine carries.
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { commitChanges } from "../../server/src/config-log/commit.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import type { ConfigResource } from "../../server/src/model/config-resource.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { createKeyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import type { SealingKey } from "../../server/src/sealing/sealing-key.ts";
import { openStore } from "../../server/src/store/open.ts";
import { startProcess } from "../bench/bench-process.ts";
import type { LoadAnswer, LoadOrder, WorkloadOrder } from "../bench/messages.ts";
import { databaseState } from "../config-log/changes.ts";
import { CLAIMS, mixedIn, versionOf } from "../proxy/config/changing.ts";
import { demoResources, startFakeControl } from "../proxy/config/fake-control.ts";
import { LINK_ID, LINK_TOKEN, userToken } from "../proxy/harness.ts";
import { startConduit } from "../support/conduit.ts";
import type { ConduitProcess } from "../support/conduit-process.ts";
import { startHttpServer } from "../support/http-server.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const FEED_MS = 20_000;
const CHANGES_PER_S = 100;
const CONNECTIONS = 16;
/** Users whose tokens take turns: most requests meet a token that was verified before. */
const USERS = 200;

const requestOf = (user: number): string => {
  const token = userToken({ ...CLAIMS, sub: `user-${user}` });
  const lines = [`GET /${LINK_ID}/x HTTP/1.1`, "Host: 127.0.0.1", `X-Access-Token: ${LINK_TOKEN}`];
  return Buffer.from(`${lines.join("\r\n")}\r\nAuthorization: Bearer ${token}\r\n\r\n`).toString("base64");
};

/** The cursor a stopped proxy comes back with from its disk: what it held, by its own sums. */
async function cursorOnDisk({ dataDir }: ConduitProcess) {
  const control = await startFakeControl(() => {});
  await using again = await startConduit("proxy", { dataDir, args: ["--control", `127.0.0.1:${control.port}`] });
  const cursor = await until("its resume", () => control.watches[0]?.request.resumeFrom);
  await again.stop();
  return cursor;
}

async function openConfig(databaseUrl: string, masterKey: string) {
  const effects = { clock: systemClock, random: systemRandom };
  const store = await openStore({ kind: "postgres", url: new SecretText(databaseUrl) }, effects);
  onTestFinished(() => store.close());
  const keyring = createKeyring(parseMasterKeys(new SecretText(masterKey)), systemRandom);
  const { fleetKey } = await openFleet(store, { keyring, ...effects, version: "test" });
  const commit = (resources: readonly ConfigResource[]) => {
    const changes = resources.map((resource) => ({ op: "upsert", resource }) as const);
    return commitChanges(store, "swept", async () => ({ result: undefined, changes }));
  };
  return { store, fleetKey, commit };
}

/** Commits version after version at a rate, several transactions at a time when they take longer; returns how many. */
async function feed(
  change: (at: number) => Promise<unknown>,
  perSecond: number,
  durationMs: number,
): Promise<{ readonly count: number; readonly perSecond: number }> {
  const startMs = performance.now();
  const pending: Promise<unknown>[] = [];
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsedMs = Math.min(durationMs, performance.now() - startMs);
      while (pending.length < (elapsedMs * perSecond) / 1_000) pending.push(change(pending.length + 1));
      if (elapsedMs < durationMs) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  await Promise.all(pending);
  return { count: pending.length, perSecond: (pending.length * 1_000) / (performance.now() - startMs) };
}

test("R2, R3: 100 changes a second through PostgreSQL while a proxy serves what it can: every answer is by one whole version, none is lost, database and proxy end with the same digest", async () => {
  const database = await startPostgres();
  onTestFinished(() => database.stop());
  const databaseUrl = await database.createDatabase();
  const { proxy, server, serverEnv } = await startApart(databaseUrl);
  await using upstream = await startHttpServer();
  const { store, fleetKey, commit } = await openConfig(databaseUrl, serverEnv.CONDUIT_MASTER_KEY ?? "");
  const version = (at: number, key: SealingKey) => versionOf(at, upstream.url, key);
  const { sequence } = await commit([...demoResources(upstream.url, {}, fleetKey), ...version(0, fleetKey)]);
  const applied = async () => {
    const text = await (await fetch(`http://127.0.0.1:${proxy.ports.admin}/metrics`)).text();
    return BigInt(/^conduit_proxy_config_sequence(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1] ?? -1);
  };
  await until("the first version", async () => (await applied()) >= sequence || undefined);
  const load = await startProcess("load-generator.ts", 1);
  onTestFinished(() => load.stop());
  const requests = Array.from({ length: USERS }, (_, user) => requestOf(user));
  await load.ask({ workload: "users", requests } satisfies WorkloadOrder);
  const order: LoadOrder = {
    ...{ port: proxy.ports.proxy, durationMs: FEED_MS, workload: "users" },
    mode: { kind: "closed", connections: CONNECTIONS },
  };
  const [served, fed] = await Promise.all([
    load.ask<LoadAnswer>(order),
    feed((at) => commit(version(at, fleetKey)), CHANGES_PER_S, FEED_MS),
  ]);
  const { head, digest } = await databaseState(store);
  await until("the last change", async () => (await applied()) === head.sequence || undefined, 30_000);
  const { mixed, versions } = mixedIn(upstream);
  process.stdout.write(
    `config change: ${fed.count} changes, ${fed.perSecond.toFixed(0)} a second; ` +
      `${served.completed} answers, ${(served.completed / (FEED_MS / 1_000)).toFixed(0)} a second, by ${versions.size} versions\n`,
  );
  expect([served.failures, mixed]).toEqual([{}, []]);
  expect(upstream.requests).toHaveLength(served.completed);
  expect(head.sequence).toBe(sequence + BigInt(fed.count));
  expect(versions.size).toBeGreaterThan(fed.count / 10);
  expect(await proxy.stop()).toBe(0);
  const cursor = await cursorOnDisk(proxy);
  expect(cursor.sequence).toBe(head.sequence);
  expect(Buffer.from(cursor.stateDigest)).toEqual(Buffer.from(digest));
  expect(Buffer.from(head.digest)).toEqual(Buffer.from(digest));
  await server.stop();
}, 180_000);
