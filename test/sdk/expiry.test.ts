import { expect, test, vi } from "vitest";
import type { Grant } from "../../sdk/src/index.ts";
import { defaultPlatform } from "../../sdk/src/platform.ts";
import { fakeJwt, settle } from "./fake-platform.ts";
import { openManager } from "./opened-tokens.ts";

const DAY_MS = 86_400_000;

test.each([
  // lifetime, refresh starts after: the smaller of 60 s and a fifth before the end
  [900, 840],
  [300, 240],
  [100, 80],
  [10, 8],
])("a token of %i s is refreshed after %i s while calls go on with it", async (lifetime, due) => {
  const { manager, asked, advance, last } = openManager({ autoRefresh: false });
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
  const { manager, asked, advance } = openManager();
  manager.setToken("t1", 900);
  await advance(839_999);
  expect(asked).toHaveLength(0);
  await advance(1);
  expect(asked).toHaveLength(1);
});

test("a call waits only when the token has expired", async () => {
  const { manager, advance, last } = openManager({ autoRefresh: false });
  manager.setToken("t1", 100);
  await advance(100_000);
  const call = manager.getToken();
  expect(last().reason).toBe("expired");
  last().answer("t2");
  expect(await call).toBe("t2");
});

test("a request that cannot be sent twice waits for a fresh token", async () => {
  const { manager, advance, last } = openManager({ autoRefresh: false });
  manager.setToken("t1", 100);
  await advance(80_000);
  const call = manager.getToken({ fresh: true });
  last().answer("t2");
  expect(await call).toBe("t2");
});

test("without expiresIn the token's own exp - iat counts, from receipt, whatever the local clock says", async () => {
  for (const skewMs of [-DAY_MS, 0, DAY_MS]) {
    const { manager, asked, advance, jumpWall } = openManager({ autoRefresh: false });
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
    const { manager, asked, advance, jumpWall } = openManager();
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
  const { manager, asked, jumpWall, resume, last } = openManager();
  manager.setToken("t1", 900);
  await resume();
  expect(asked).toHaveLength(0);
  jumpWall(3_600_000);
  await resume();
  expect(last().reason).toBe("resume");
});

test("a token just received is never expiring, even when its source says it has expired", async () => {
  const { manager, asked, advance } = openManager();
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
  const { manager, asked, delaysMs, advance } = openManager();
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
  const { manager, asked, advance, pendingTimers } = openManager();
  manager.setToken("opaque");
  expect(pendingTimers).toBe(0);
  await advance(365 * DAY_MS);
  expect(await manager.getToken()).toBe("opaque");
  expect(asked).toHaveLength(0);
});
