import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { type Conduit, createConduit } from "../../sdk/src/index.ts";
import { createSession, fromToken, memoryStore } from "../../sdk/src/session/index.ts";
import { settle } from "./fake-platform.ts";
import { expectCode, openManager } from "./opened-tokens.ts";

const DAY_MS = 86_400_000;

describe("the end of a session", () => {
  test("null signs out: every waiter hears session_lost, `lost` is emitted once", async () => {
    const { manager, asked, last, eventsOf } = openManager();
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
    const { manager, last, eventsOf } = openManager();
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
    const { manager, advance, last, pendingTimers } = openManager({ autoRefresh: false });
    manager.setToken("t1", 100);
    await advance(80_000);
    await manager.getToken();
    last().answer(null);
    await settle();
    expect(manager.state).toBe("lost");
    expect(pendingTimers).toBe(0);
  });

  test("clear() during a refresh cannot be undone by it", async () => {
    const { manager, last, eventsOf } = openManager();
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
    const { manager, last } = openManager();
    const call = manager.getToken();
    manager.setToken("from-login", 900);
    expect(await call).toBe("from-login");
    last().answer("from-refresh");
    await settle();
    expect(await manager.getToken()).toBe("from-login");
  });

  test("a refusal after sign-out starts no refresh", async () => {
    const { manager, asked } = openManager();
    manager.setToken("t1");
    const sentWith = await manager.acquire();
    manager.clear();
    await expectCode(manager.renew(sentWith), "session_lost");
    expect(asked).toHaveLength(0);
  });

  test("dispose() stops timers, listeners and waiters, and may be called again", async () => {
    const { manager, last, fake, eventsOf } = openManager();
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
    const { manager, asked, advance, pendingTimers, fake } = openManager();
    await advance(DAY_MS);
    expect([manager.state, asked.length, pendingTimers, fake.resumeListeners]).toEqual(["empty", 0, 0, 0]);
  });

  test("a listener of `change` reads the new state and token", async () => {
    const { manager, last } = openManager();
    const seen: unknown[] = [];
    manager.on("change", () => seen.push(manager.state));
    const call = manager.getToken();
    expect(manager.state).toBe("refreshing");
    last().answer({ token: "t1", expiresIn: 900 });
    await call;
    expect(seen).toEqual(["ready"]);
  });

  test("`change` tells when the token expires, and never the token", async () => {
    const { manager, eventsOf, fake } = openManager();
    manager.setToken("secret-token", 900);
    const [event] = eventsOf("change");
    expect(event?.tokens?.expiresAt).toBe((fake.platform.now?.() ?? 0) + 900_000);
    expect(JSON.stringify(event)).not.toContain("secret-token");
  });

  test("S25: printed whole, a client, its tokens and its session show no token", async () => {
    const session = createSession({ store: memoryStore(), refresh: fromToken("secret-session-token") });
    const options = { url: "https://proxy.example/link", linkToken: "cl_pub_secret", autoRefresh: false };
    const clients = [
      createConduit({ ...options, getToken: () => "secret-user-token" }),
      createConduit({ ...options, getToken: session }),
    ];
    for (const client of clients) {
      await client.tokens.getToken();
      client.tokens.setToken({ accessToken: "secret-access", refreshToken: "secret-refresh" });
    }
    const { linkToken: _, ...shown } = clients[0] as Conduit;
    const text = inspect([shown, clients[1]?.tokens, session], { depth: 9, showHidden: true, getters: true });
    expect(text).toContain("fetchWithAuth");
    expect(text).not.toContain("secret");
  });

  test("an unsubscribed listener hears nothing more", () => {
    const { manager } = openManager();
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
