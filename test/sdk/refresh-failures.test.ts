import { inspect } from "node:util";
import { expect, test } from "vitest";
import { type GetToken, type Grant, TokenManager } from "../../sdk/src/index.ts";
import { settle } from "./fake-platform.ts";
import { expectCode, openManager } from "./opened-tokens.ts";

test("errors of the source never sign out: the token is served while it is valid", async () => {
  const { manager, advance, last, eventsOf } = openManager({ autoRefresh: false });
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
  const { manager, advance, last } = openManager({ autoRefresh: false });
  manager.setToken("t1", 100);
  await advance(80_000);
  const call = manager.getToken({ fresh: true });
  last().fail(new Error("503"));
  expect(await call).toBe("t1");
});

test("with an expired token the call rejects with refresh_failed and the cause, and the next one tries again", async () => {
  const { manager, advance, last } = openManager({ autoRefresh: false });
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
  const { manager, asked, advance, fake } = openManager();
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
  const { manager, asked, last } = openManager();
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
  const { manager, last } = openManager();
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
  const { manager, last } = openManager();
  const call = expectCode(manager.getToken(), "refresh_failed");
  last().answer(answer as unknown as Grant);
  expect(inspect(await call, { depth: 9, showHidden: true })).not.toContain("secret-token");
});

test("a wrong call throws TypeError and changes nothing", () => {
  const { manager } = openManager();
  expect(() => manager.setToken("bad token")).toThrow(TypeError);
  expect(() => manager.setToken("t1", Number.NaN)).toThrow(TypeError);
  expect(manager.state).toBe("empty");
  expect(() => new TokenManager({ refresh: () => null, refreshTimeoutMs: 0 })).toThrow(TypeError);
  expect(() => new TokenManager({ refresh: "token" as unknown as GetToken })).toThrow(TypeError);
});
