// promises.md R3: every request is judged, and its credential chosen, by one whole version of the configuration.
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { SecretText } from "../../server/src/model/secret-text.ts";
import type { OpenedResource } from "../../server/src/proxy/config/resource-set.ts";
import { startHttpServer } from "../support/http-server.ts";
import { tmpDirOfTest } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";
import { CLAIMS, mixedIn, versionOf } from "./config/changing.ts";
import { demoResources, FakeLog, startFakeControl } from "./config/fake-control.ts";
import { startPlane } from "./config/plane.ts";
import { LINK_NAME, linkOf, startProxy, userToken } from "./harness.ts";

test("while the configuration changes between any two steps, no request sees half of one and half of another", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url });
  const version = (name: string): OpenedResource[] => [
    { kind: "secret", name: "projects/demo/secrets/key", secret: { current: new SecretText(`key-of-${name}`) } },
    {
      kind: "link",
      name: LINK_NAME,
      link: linkOf(`${upstream.url}/${name}`, {
        rules: [{ effect: "ALLOW", methods: [], path: `/only-${name}`, query: {}, claims: [], message: "" }],
        claimHeaders: [{ claim: name, fallbackClaims: [], header: "X-Claim", ifMissing: "DENY" }],
      }),
    },
  ];
  proxy.put(...version("a"));
  let changes = 0;
  const timer = setInterval(() => {
    for (let at = 0; at < 10; at += 1) proxy.put(...version(changes++ % 2 === 0 ? "b" : "a"));
    proxy.put(...version(Math.floor(changes / 10) % 2 === 0 ? "a" : "b"));
  }, 1);
  const statuses: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    const calls = ["a", "b"].map((name) => {
      // A token nobody has seen: its verification lets the configuration change in the middle of the request.
      const token = userToken({ a: "claim-a", b: "claim-b", nonce_of_test: `${round}${name}` });
      return proxy.call(`/only-${name}`, { headers: { authorization: `Bearer ${token}` } });
    });
    statuses.push(...(await Promise.all(calls)).map(({ status }) => status));
  }
  clearInterval(timer);
  expect(changes).toBeGreaterThan(100);
  expect(new Set(statuses)).toEqual(new Set([200, 403]));
  for (const seen of upstream.requests) {
    const name = seen.target.slice(1, 2);
    expect([seen.target, seen.header("x-api-key"), seen.header("x-claim")]).toEqual([
      `/${name}/only-${name}`,
      [`key-of-${name}`],
      [`claim-${name}`],
    ]);
  }
});

test("changes that come by the stream, hundreds a second: every answer belongs to one whole version, and the last is in force", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url), ...versionOf(0, upstream.url));
  const control = await startFakeControl((call) => {
    call.write(log.hello(true));
    for (const chunk of log.snapshot()) call.write(chunk);
  });
  const proxy = await startPlane([control.port], tmpDirOfTest());
  await proxy.plane.whenReady();
  let version = 0;
  const timer = setInterval(() => {
    for (let at = 0; at < 5; at += 1) {
      version += 1;
      control.watches[0]?.call.write(log.commit(...versionOf(version, upstream.url)));
    }
  }, 5);
  const statuses = new Set<number>();
  for (let round = 0; round < 40; round += 1) {
    const tokens = [1, 2].map((at) => userToken({ ...CLAIMS, nonce_of_test: `${round} ${at}` }));
    for (const { status } of await Promise.all(tokens.map((token) => proxy.call("/x", undefined, token))))
      statuses.add(status);
    await delay(1);
  }
  clearInterval(timer);
  const { mixed, versions } = mixedIn(upstream);
  expect([mixed, [...statuses]]).toEqual([[], [200]]);
  expect(versions.size).toBeGreaterThan(20);
  expect(control.watches).toHaveLength(1);
  await until("the last version is in force", () => proxy.plane.status().sequence === log.sequence || undefined);
});
