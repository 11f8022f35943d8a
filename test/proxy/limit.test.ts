// contract.md 7 and 8 (RateLimit), promises.md R8.
import { describe, expect, test } from "vitest";
import type { Limit } from "../../server/src/model/link.ts";
import { LimitTable } from "../../server/src/proxy/limit-table.ts";
import { startHttpServer } from "../support/http-server.ts";
import { fakeClock, LINK_NAME, linkOf, startProxy, userToken } from "./harness.ts";

const PER_USER: Limit = { name: "per-user", key: "subject", requests: 60, windowMs: 60_000, burst: 3 };

const as = (sub: string, claims: object = {}) => ({
  headers: { authorization: `Bearer ${userToken({ sub, iat: 1_800_000_000, exp: 1_800_100_000, ...claims })}` },
});

describe("a limit", () => {
  test("lets a burst pass, then one per interval, and says so on every answer", async () => {
    await using upstream = await startHttpServer();
    const clock = fakeClock();
    const proxy = await startProxy({ baseUrl: upstream.url, clock, link: { limits: [PER_USER] } });
    const numbers = async (sub = "ann") => {
      const answer = await proxy.call("/x", as(sub));
      const { headers } = answer;
      expect(headers.get("ratelimit-policy")).toBe('"per-user";q=60;w=60');
      return [answer.status, headers.get("ratelimit"), headers.get("retry-after")];
    };
    expect(await numbers()).toEqual([200, '"per-user";r=2;t=1', null]);
    expect(await numbers()).toEqual([200, '"per-user";r=1;t=2', null]);
    expect(await numbers()).toEqual([200, '"per-user";r=0;t=3', null]);
    expect(await numbers()).toEqual([429, '"per-user";r=0;t=3', "1"]);
    expect(await numbers("bob")).toEqual([200, '"per-user";r=2;t=1', null]);
    clock.advance(1000);
    expect(await numbers()).toEqual([200, '"per-user";r=0;t=3', null]);
    expect(await numbers()).toEqual([429, '"per-user";r=0;t=3', "1"]);
    expect(upstream.requests).toHaveLength(5);
  });

  test("is touched by no forged token, and by no request that a rule refuses", async () => {
    await using upstream = await startHttpServer();
    const limits = [{ ...PER_USER, burst: 1 }];
    const rules = [{ effect: "ALLOW" as const, methods: [], path: "/open", query: {}, claims: [], message: "" }];
    const clock = fakeClock();
    const proxy = await startProxy({ baseUrl: upstream.url, clock, link: { limits, rules } });
    for (let at = 0; at < 5; at += 1) {
      const forged = `${as("ann").headers.authorization.slice(0, -3)}AAA`;
      expect((await proxy.call("/open", { headers: { authorization: forged } })).status).toBe(401);
      expect((await proxy.call("/closed", as("ann"))).status).toBe(403);
    }
    expect((await proxy.call("/open", as("ann"))).status).toBe(200);
  });

  test("takes from all limits or from none, and lists them all", async () => {
    await using upstream = await startHttpServer();
    const narrow = { ...PER_USER, burst: 1 };
    const wide = { name: "all", key: "link", requests: 600, windowMs: 60_000, burst: 10 };
    const clock = fakeClock();
    const proxy = await startProxy({ baseUrl: upstream.url, clock, link: { limits: [narrow, wide] } });
    const state = async () => (await proxy.call("/x", as("ann"))).headers.get("ratelimit");
    expect(await state()).toBe('"per-user";r=0;t=1, "all";r=9;t=1');
    expect(await state()).toBe('"per-user";r=0;t=1, "all";r=9;t=1');
    expect(await state()).toBe('"per-user";r=0;t=1, "all";r=9;t=1');
  });

  test("keyed on a claim that is missing refuses like a missing claim", async () => {
    await using upstream = await startHttpServer();
    const clock = fakeClock();
    const proxy = await startProxy({
      baseUrl: upstream.url,
      clock,
      link: { limits: [{ ...PER_USER, key: "jwt.org" }] },
    });
    const answer = await proxy.call("/x", as("ann"));
    expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([401, "token_claim_missing"]);
    expect((await proxy.call("/x", as("ann", { org: "o1" }))).status).toBe(200);
  });

  test("keeps its buckets over a change of the configuration", async () => {
    await using upstream = await startHttpServer();
    const clock = fakeClock();
    const limits = [{ ...PER_USER, burst: 1 }];
    const proxy = await startProxy({ baseUrl: upstream.url, clock, link: { limits } });
    expect((await proxy.call("/x", as("ann"))).status).toBe(200);
    proxy.put({ kind: "link", name: LINK_NAME, link: linkOf(upstream.url, { limits, displayName: "changed" }) });
    expect((await proxy.call("/x", as("ann"))).status).toBe(429);
  });
});

describe("the table of buckets", () => {
  const limit: Limit = { name: "l", key: "link", requests: 1, windowMs: 1000, burst: 2 };
  const take = (table: LimitTable, key: string) => table.take([{ limit, key }])[0]?.isAllowed;

  test("stays within its bound and forgets full buckets first", () => {
    const clock = fakeClock();
    const table = new LimitTable(clock, 100);
    for (let at = 0; at < 100; at += 1) take(table, `old ${at}`);
    clock.advance(5000);
    for (let at = 0; at < 1000; at += 1) {
      clock.advance(50);
      expect(take(table, `new ${at}`)).toBe(true);
      expect(table.size).toBeLessThanOrEqual(100);
    }
  });

  test("never frees an exhausted bucket early, however many others ask", () => {
    const clock = fakeClock();
    const table = new LimitTable(clock, 50);
    expect([take(table, "greedy"), take(table, "greedy"), take(table, "greedy")]).toEqual([true, true, false]);
    for (let at = 0; at < 10_000; at += 1) take(table, `other ${at}`);
    expect(take(table, "greedy")).toBe(false);
    clock.advance(1000);
    expect(take(table, "greedy")).toBe(true);
  });

  test("full of exhausted buckets, refuses new ones instead", () => {
    const clock = fakeClock();
    const table = new LimitTable(clock, 10);
    for (let at = 0; at < 10; at += 1) {
      take(table, `k ${at}`);
      take(table, `k ${at}`);
    }
    expect(take(table, "new")).toBe(false);
    expect(table.size).toBe(10);
  });

  test("does not keep long keys", () => {
    const table = new LimitTable(fakeClock());
    expect([1, 2, 3].map(() => take(table, "x".repeat(100_000)))).toEqual([true, true, false]);
    expect(take(table, `${"x".repeat(99_999)}y`)).toBe(true);
  });
});
