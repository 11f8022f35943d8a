import { expect, test, vi } from "vitest";
import { TokenManager } from "../../sdk/src/index.ts";
import { rejection } from "./fake-link.ts";
import { createFakePlatform, settle } from "./fake-platform.ts";
import { expectCode, openManager } from "./opened-tokens.ts";

test("50 concurrent calls cause one refresh and get the same token", async () => {
  const { manager, asked, last, eventsOf } = openManager();
  const calls = Array.from({ length: 50 }, () => manager.getToken());
  last().answer("t1");
  expect(new Set(await Promise.all(calls))).toEqual(new Set(["t1"]));
  expect(asked).toHaveLength(1);
  await settle();
  expect(eventsOf("refresh")).toEqual([{ reason: "initial", durationMs: 0, waiters: 50, outcome: "rotated" }]);
});

test("a refusal that comes late, of a token already replaced, gets the current one without a refresh", async () => {
  const { manager, asked, last } = openManager();
  manager.setToken("t1", 900);
  const sentWith = await manager.acquire();
  const early = manager.renew(sentWith);
  last().answer("t2");
  expect((await early).token).toBe("t2");
  expect((await manager.renew(sentWith)).token).toBe("t2");
  expect(asked).toHaveLength(1);
});

test("the same token received again counts as new, so that late refusals still cause one refresh", async () => {
  const { manager, asked, last } = openManager();
  manager.setToken("static", 900);
  const sentWith = await manager.acquire();
  const early = manager.renew(sentWith);
  last().answer("static");
  await early;
  await manager.renew(sentWith);
  expect(asked).toHaveLength(1);
});

test("aborting one waiter leaves the refresh to the others", async () => {
  const { manager, asked, last } = openManager();
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
  const { manager } = openManager();
  const controller = new AbortController();
  Object.defineProperty(controller.signal, "reason", { value: undefined });
  const call = manager.getToken({ signal: controller.signal });
  controller.abort();
  expect(await rejection(call)).toMatchObject({ name: "AbortError" });
});

test("a source that never answers holds callers for the time limit, and the next call asks anew", async () => {
  const { manager, asked, advance, last } = openManager({ refreshTimeoutMs: 3_000 });
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

test("a flight whose request has gone is given up although the runtime lets nobody abort it (edge workers)", async () => {
  const dead = createFakePlatform({ setTimer: () => () => {} });
  const refusal = new Error("Cannot perform I/O on behalf of a different request");
  vi.spyOn(AbortController.prototype, "abort").mockImplementationOnce(() => {
    throw refusal;
  });
  let asked = 0;
  const refresh = () => (++asked === 1 ? new Promise<never>(() => {}) : "t2");
  const manager = new TokenManager({ platform: dead.platform, refresh });
  manager.getToken().catch(() => {});
  await dead.advance(10_000);
  expect(await manager.getToken()).toBe("t2");
});

test("an answer after the time limit is kept when nothing newer came: its refresh token may be the only good one", async () => {
  const { manager, asked, advance, last } = openManager({ refreshTimeoutMs: 1_000 });
  const call = expectCode(manager.getToken(), "refresh_timeout");
  await advance(1_000);
  await call;
  last().answer({ token: "late", refreshToken: "r2" });
  await settle();
  expect(await manager.getToken()).toBe("late");
  expect(asked).toHaveLength(1);
});
