import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import {
  type ConduitErrorCode,
  type ConduitEvents,
  type GetToken,
  type Grant,
  isConduitError,
  type RefreshContext,
  TokenManager,
} from "../../sdk/src/index.ts";
import { defaultPlatform } from "../../sdk/src/platform.ts";
import { createFakePlatform, fakeJwt, settle } from "./fake-platform.ts";

const DAY_MS = 86_400_000;

/** A source the test answers by hand, and the manager over it. */
function open(options: { refreshTimeoutMs?: number; autoRefresh?: boolean } = {}) {
  const fake = createFakePlatform();
  const asked: (RefreshContext & { answer(grant: Grant | null): void; fail(error: unknown): void })[] = [];
  const refresh: GetToken = (context) =>
    new Promise((answer, fail) => {
      asked.push({ ...context, answer, fail });
    });
  const manager = new TokenManager({ refresh, platform: fake.platform, ...options });
  const events: [type: string, event: unknown][] = [];
  for (const type of ["change", "refresh", "lost"] as const) manager.on(type, (event) => events.push([type, event]));
  const last = () => {
    const context = asked.at(-1);
    if (!context) throw new Error("the source was not asked");
    return context;
  };
  const eventsOf = <Type extends keyof ConduitEvents>(type: Type) =>
    events.filter(([name]) => name === type).map(([, event]) => event as ConduitEvents[Type]);
  return { ...fake, fake, asked, last, manager, eventsOf };
}

const rejection = async (promise: Promise<unknown>) => promise.then(() => undefined).catch((error: unknown) => error);

async function expectCode(promise: Promise<unknown>, code: ConduitErrorCode) {
  const error = await rejection(promise);
  expect(isConduitError(error, code), inspect(error)).toBe(true);
  return error as Error;
}

describe("single flight", () => {
  test("50 concurrent calls cause one refresh and get the same token", async () => {
    const { manager, asked, last, eventsOf } = open();
    const calls = Array.from({ length: 50 }, () => manager.getToken());
    last().answer("t1");
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["t1"]));
    expect(asked).toHaveLength(1);
    await settle();
    expect(eventsOf("refresh")).toEqual([{ reason: "initial", durationMs: 0, waiters: 50, outcome: "rotated" }]);
  });

  test("a refusal that comes late, of a token already replaced, gets the current one without a refresh", async () => {
    const { manager, asked, last } = open();
    manager.setToken("t1", 900);
    const sentWith = await manager.acquire();
    const early = manager.renew(sentWith);
    last().answer("t2");
    expect((await early).token).toBe("t2");
    expect((await manager.renew(sentWith)).token).toBe("t2");
    expect(asked).toHaveLength(1);
  });

  test("the same token received again counts as new, so that late refusals still cause one refresh", async () => {
    const { manager, asked, last } = open();
    manager.setToken("static", 900);
    const sentWith = await manager.acquire();
    const early = manager.renew(sentWith);
    last().answer("static");
    await early;
    await manager.renew(sentWith);
    expect(asked).toHaveLength(1);
  });

  test("aborting one waiter leaves the refresh to the others", async () => {
    const { manager, asked, last } = open();
    const controller = new AbortController();
    const leaving = manager.getToken({ signal: controller.signal });
    const staying = manager.getToken();
    const reason = new Error("the user left the page");
    controller.abort(reason);
    expect(await rejection(leaving)).toBe(reason);
    expect(last().signal.aborted).toBe(false);
    last().answer("t1");
    expect(await staying).toBe("t1");
    expect(asked).toHaveLength(1);
  });

  test("a signal without a reason, as in React Native, rejects with an AbortError", async () => {
    const { manager } = open();
    const controller = new AbortController();
    Object.defineProperty(controller.signal, "reason", { value: undefined });
    const call = manager.getToken({ signal: controller.signal });
    controller.abort();
    expect(await rejection(call)).toMatchObject({ name: "AbortError" });
  });

  test("a source that never answers holds callers for the time limit, and the next call asks anew", async () => {
    const { manager, asked, advance, last } = open({ refreshTimeoutMs: 3_000 });
    const first = expectCode(manager.getToken(), "refresh_timeout");
    await advance(1_000);
    const second = expectCode(manager.getToken(), "refresh_timeout");
    await advance(2_000);
    await Promise.all([first, second]);
    expect(last().signal.aborted).toBe(true);
    const third = manager.getToken();
    expect(asked).toHaveLength(2);
    last().answer("t1");
    expect(await third).toBe("t1");
  });

  test("a flight whose timers died with their request (edge workers) is given up by the clock", async () => {
    const dead = createFakePlatform({ setTimer: () => () => {} });
    let asked = 0;
    const manager = new TokenManager({
      platform: dead.platform,
      refresh: () => (++asked === 1 ? new Promise<never>(() => {}) : "t2"),
    });
    manager.getToken().catch(() => {});
    await dead.advance(10_000);
    expect(await manager.getToken()).toBe("t2");
  });

  test("an answer after the time limit is kept when nothing newer came: its refresh token may be the only good one", async () => {
    const { manager, asked, advance, last } = open({ refreshTimeoutMs: 1_000 });
    const call = expectCode(manager.getToken(), "refresh_timeout");
    await advance(1_000);
    await call;
    last().answer({ token: "late", refreshToken: "r2" });
    await settle();
    expect(await manager.getToken()).toBe("late");
    expect(asked).toHaveLength(1);
  });
});

describe("expiry", () => {
  test.each([
    // lifetime, refresh starts after: the smaller of 60 s and a fifth before the end
    [900, 840],
    [300, 240],
    [100, 80],
    [10, 8],
  ])("a token of %i s is refreshed after %i s while calls go on with it", async (lifetime, due) => {
    const { manager, asked, advance, last } = open({ autoRefresh: false });
    manager.setToken("t1", lifetime);
    await advance(due * 1000 - 1);
    expect(await manager.getToken()).toBe("t1");
    expect(asked).toHaveLength(0);
    await advance(1);
    expect(await manager.getToken()).toBe("t1");
    expect(asked).toHaveLength(1);
    expect(last().reason).toBe("proactive");
    last().answer({ token: "t2", expiresIn: lifetime });
    await settle();
    expect(await manager.getToken()).toBe("t2");
  });

  test("the timer refreshes at the same moment when nobody calls", async () => {
    const { manager, asked, advance } = open();
    manager.setToken("t1", 900);
    await advance(839_999);
    expect(asked).toHaveLength(0);
    await advance(1);
    expect(asked).toHaveLength(1);
  });

  test("a call waits only when the token has expired", async () => {
    const { manager, advance, last } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(100_000);
    const call = manager.getToken();
    expect(last().reason).toBe("expired");
    last().answer("t2");
    expect(await call).toBe("t2");
  });

  test("a request that cannot be sent twice waits for a fresh token", async () => {
    const { manager, advance, last } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(80_000);
    const call = manager.getToken({ fresh: true });
    last().answer("t2");
    expect(await call).toBe("t2");
  });

  test("without expiresIn the token's own exp - iat counts, from receipt, whatever the local clock says", async () => {
    for (const skewMs of [-DAY_MS, 0, DAY_MS]) {
      const { manager, asked, advance, jumpWall } = open({ autoRefresh: false });
      const iat = Date.UTC(2026, 10, 25, 12) / 1000;
      jumpWall(skewMs);
      manager.setToken(fakeJwt({ iat, exp: iat + 900 }));
      await advance(839_999);
      await manager.getToken();
      expect(asked).toHaveLength(0);
      await advance(1);
      await manager.getToken();
      expect(asked).toHaveLength(1);
    }
  });

  test("a wall clock set forward or back by a day causes no refresh and delays none", async () => {
    for (const jumpMs of [-DAY_MS, DAY_MS]) {
      const { manager, asked, advance, jumpWall } = open();
      manager.setToken("t1", 900);
      jumpWall(jumpMs);
      await manager.getToken();
      await advance(839_999);
      expect(asked).toHaveLength(0);
      await advance(1);
      expect(asked).toHaveLength(1);
    }
  });

  test("after sleep, which the monotonic clock of some browsers does not count, showing the page refreshes", async () => {
    const { manager, asked, jumpWall, resume, last } = open();
    manager.setToken("t1", 900);
    await resume();
    expect(asked).toHaveLength(0);
    jumpWall(3_600_000);
    await resume();
    expect(last().reason).toBe("resume");
  });

  test("a token just received is never expiring, even when its source says it has expired", async () => {
    const { manager, asked, advance } = open();
    const iat = Date.UTC(2026, 10, 25, 12) / 1000;
    const grants: Grant[] = [
      { token: "t", expiresIn: 0 },
      { token: "t", expiresIn: -5 },
      fakeJwt({ iat, exp: iat - 10 }),
    ];
    for (const grant of grants) {
      manager.setToken(grant);
      expect(await manager.getToken()).toBe(typeof grant === "string" ? grant : "t");
    }
    await advance(DAY_MS);
    expect(asked, "and no timer asks for another one for ever").toHaveLength(0);
  });

  test("a 30-day token overflows no timer", async () => {
    const { manager, asked, delaysMs, advance } = open();
    manager.setToken("t1", 30 * 86_400);
    await advance(600_000);
    expect(asked).toHaveLength(0);
    expect(Math.max(...delaysMs)).toBeLessThanOrEqual(60_000);
  });

  test("the platform's timers never exceed 2^31 - 1 ms, where engines fire at once", () => {
    const setTimeout = vi.spyOn(globalThis, "setTimeout");
    defaultPlatform.setTimer(30 * DAY_MS, () => {})();
    expect(setTimeout.mock.calls[0]?.[1]).toBe(2 ** 31 - 1);
  });

  test("a token that tells no lifetime is used until it is refused, without timers", async () => {
    const { manager, asked, advance, pendingTimers } = open();
    manager.setToken("opaque");
    expect(pendingTimers).toBe(0);
    await advance(365 * DAY_MS);
    expect(await manager.getToken()).toBe("opaque");
    expect(asked).toHaveLength(0);
  });
});

describe("failures", () => {
  test("errors of the source never sign out: the token is served while it is valid", async () => {
    const { manager, advance, last, eventsOf } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(80_000);
    await manager.getToken();
    last().fail(new TypeError("fetch failed"));
    await settle();
    expect(await manager.getToken()).toBe("t1");
    expect(manager.state).toBe("ready");
    expect(eventsOf("lost")).toEqual([]);
    expect(eventsOf("refresh").at(-1)).toMatchObject({ outcome: "failed" });
  });

  test("a request that wanted a fresh token gets the valid one when refreshing fails", async () => {
    const { manager, advance, last } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(80_000);
    const call = manager.getToken({ fresh: true });
    last().fail(new Error("503"));
    expect(await call).toBe("t1");
  });

  test("with an expired token the call rejects with refresh_failed and the cause, and the next one tries again", async () => {
    const { manager, advance, last } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(100_000);
    const cause = new Error("429 from the login server");
    const call = expectCode(manager.getToken(), "refresh_failed");
    last().fail(cause);
    expect((await call).cause).toBe(cause);
    expect(await call).toMatchObject({ retryable: true });
    const next = manager.getToken();
    last().answer("t2");
    expect(await next).toBe("t2");
  });

  test("background retries are spaced further and further, and end with the token", async () => {
    const { manager, asked, advance, fake } = open();
    manager.setToken("t1", 900);
    const failAll = new Set<unknown>();
    const started = fake.platform.monotonic?.() ?? 0;
    const times: number[] = [];
    for (let step = 0; step < 1_000; step++) {
      await advance(1_000);
      for (const context of asked.filter((each) => !failAll.has(each))) {
        failAll.add(context);
        times.push((fake.platform.monotonic?.() ?? 0) - started);
        context.fail(new Error("503"));
      }
    }
    expect(times[0]).toBe(840_000);
    expect(times.length).toBeLessThan(10);
    expect(times.at(-1)).toBeLessThan(900_000);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
  });

  test("one rotation keeps its attemptId over retries; the next has another", async () => {
    const { manager, asked, last } = open();
    manager.setToken({ token: "t1", refreshToken: "r1" });
    for (const _ of [1, 2]) {
      const failing = expectCode(manager.refresh(), "refresh_failed");
      last().fail(new Error("answer lost"));
      await failing;
    }
    const rotated = manager.refresh();
    last().answer({ token: "t2", refreshToken: "r2" });
    await rotated;
    void manager.refresh().catch(() => {});
    expect(asked.map(({ attemptId, refreshToken }) => [attemptId, refreshToken])).toEqual([
      ["attempt-1", "r1"],
      ["attempt-1", "r1"],
      ["attempt-1", "r1"],
      ["attempt-2", "r2"],
    ]);
  });

  test("a refresh token stays when the answer brings none", async () => {
    const { manager, last } = open();
    manager.setToken({ access_token: "t1", refresh_token: "r1", expires_in: 900 });
    const rotated = manager.refresh();
    last().answer({ accessToken: "t2" });
    await rotated;
    void manager.refresh().catch(() => {});
    expect(last().refreshToken).toBe("r1");
  });

  test.each([
    ["undefined", undefined],
    ["an empty string", ""],
    ["an object without a token", { expiresIn: 900 }],
    ["a token no header may carry", "secret-token\r\nX-Evil: 1"],
    ["a number", 42],
  ])("%s is no token: refresh_failed, and no part of it in the error", async (_name, answer) => {
    const { manager, last } = open();
    const call = expectCode(manager.getToken(), "refresh_failed");
    last().answer(answer as unknown as Grant);
    expect(inspect(await call, { depth: 9, showHidden: true })).not.toContain("secret-token");
  });

  test("a wrong call throws TypeError and changes nothing", () => {
    const { manager } = open();
    expect(() => manager.setToken("bad token")).toThrow(TypeError);
    expect(() => manager.setToken("t1", Number.NaN)).toThrow(TypeError);
    expect(manager.state).toBe("empty");
    expect(() => new TokenManager({ refresh: () => null, refreshTimeoutMs: 0 })).toThrow(TypeError);
    expect(() => new TokenManager({ refresh: "token" as unknown as GetToken })).toThrow(TypeError);
  });
});

describe("the end of a session", () => {
  test("null signs out: every waiter hears session_lost, `lost` is emitted once", async () => {
    const { manager, asked, last, eventsOf } = open();
    const calls = Array.from({ length: 50 }, () => expectCode(manager.getToken(), "session_lost"));
    last().answer(null);
    await Promise.all(calls);
    expect(asked).toHaveLength(1);
    expect(manager.state).toBe("lost");
    const again = expectCode(manager.getToken(), "session_lost");
    last().answer(null);
    await again;
    expect(eventsOf("lost")).toHaveLength(1);
  });

  test("who signs in again needs no new client, and may be signed out again", async () => {
    const { manager, last, eventsOf } = open();
    const lost = expectCode(manager.getToken(), "session_lost");
    last().answer(null);
    await lost;
    const call = manager.getToken();
    last().answer("t2");
    expect(await call).toBe("t2");
    expect(manager.state).toBe("ready");
    const refresh = expectCode(manager.refresh(), "session_lost");
    last().answer(null);
    await refresh;
    expect(eventsOf("lost")).toHaveLength(2);
    expect(eventsOf("change").map(({ via }) => via)).toEqual(["signed-out", "refresh", "signed-out"]);
  });

  test("null drops a token that was still valid", async () => {
    const { manager, advance, last, pendingTimers } = open({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(80_000);
    await manager.getToken();
    last().answer(null);
    await settle();
    expect(manager.state).toBe("lost");
    expect(pendingTimers).toBe(0);
  });

  test("clear() during a refresh cannot be undone by it", async () => {
    const { manager, last, eventsOf } = open();
    const call = expectCode(manager.getToken(), "session_lost");
    manager.clear();
    await call;
    expect(last().signal.aborted).toBe(true);
    last().answer("t1");
    await settle();
    expect(manager.state).toBe("empty");
    expect(eventsOf("lost")).toEqual([]);
  });

  test("setToken() during a refresh wins over it, and its waiters get that token", async () => {
    const { manager, last } = open();
    const call = manager.getToken();
    manager.setToken("from-login", 900);
    expect(await call).toBe("from-login");
    last().answer("from-refresh");
    await settle();
    expect(await manager.getToken()).toBe("from-login");
  });

  test("a refusal after sign-out starts no refresh", async () => {
    const { manager, asked } = open();
    manager.setToken("t1");
    const sentWith = await manager.acquire();
    manager.clear();
    await expectCode(manager.renew(sentWith), "session_lost");
    expect(asked).toHaveLength(0);
  });

  test("dispose() stops timers, listeners and waiters, and may be called again", async () => {
    const { manager, last, fake, eventsOf } = open();
    manager.setToken("t1", 900);
    const call = expectCode(manager.refresh(), "disposed");
    manager.dispose();
    manager.dispose();
    await call;
    expect(last().signal.aborted).toBe(true);
    expect([fake.pendingTimers, fake.resumeListeners]).toEqual([0, 0]);
    await expectCode(manager.getToken(), "disposed");
    expect(eventsOf("change").map(({ via }) => via)).toEqual(["set"]);
  });
});

describe("what an app sees", () => {
  test("a new manager does nothing until it is used", async () => {
    const { manager, asked, advance, pendingTimers, fake } = open();
    await advance(DAY_MS);
    expect([manager.state, asked.length, pendingTimers, fake.resumeListeners]).toEqual(["empty", 0, 0, 0]);
  });

  test("a listener of `change` reads the new state and token", async () => {
    const { manager, last } = open();
    const seen: unknown[] = [];
    manager.on("change", () => seen.push(manager.state));
    const call = manager.getToken();
    expect(manager.state).toBe("refreshing");
    last().answer({ token: "t1", expiresIn: 900 });
    await call;
    expect(seen).toEqual(["ready"]);
  });

  test("`change` tells when the token expires, and never the token", async () => {
    const { manager, eventsOf, fake } = open();
    manager.setToken("secret-token", 900);
    const [event] = eventsOf("change");
    expect(event?.tokens?.expiresAt).toBe((fake.platform.now?.() ?? 0) + 900_000);
    expect(JSON.stringify(event)).not.toContain("secret-token");
  });

  test("an unsubscribed listener hears nothing more", () => {
    const { manager } = open();
    let heard = 0;
    const off = manager.on("change", () => {
      heard++;
    });
    manager.setToken("t1");
    off();
    manager.setToken("t2");
    expect(heard).toBe(1);
  });
});
