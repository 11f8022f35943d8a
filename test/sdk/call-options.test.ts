import { expect, test, vi } from "vitest";
import { defaultPlatform } from "../../sdk/src/platform.ts";
import { LINK_TOKEN, useFakeLink } from "./fake-link.ts";
import { openManager } from "./opened-tokens.ts";

const link = useFakeLink();

test("auth: none sends the link token alone and asks nobody for a token", async () => {
  link.refused.add("");
  const { fetchWithAuth, rounds } = link.open();
  const response = await fetchWithAuth("/x", { auth: "none" });
  expect([response.status, rounds(), link.proxy.requests.length]).toEqual([401, 0, 1]);
  expect(link.proxy.requests[0]?.header("x-access-token")).toEqual([LINK_TOKEN]);
  expect(link.tokensSeen()).toEqual([undefined]);
});

test("retryOn401: false returns the 401, and does not clone the Request", async () => {
  link.refused.add("t1");
  const clone = vi.spyOn(Request.prototype, "clone");
  const { fetchWithAuth, rounds } = link.open();
  const request = new Request(`${link.proxy.url}/link/x`, { method: "POST", body: "hello" });
  expect((await fetchWithAuth(request, { retryOn401: false })).status).toBe(401);
  expect([clone.mock.calls.length, link.proxy.requests.length, rounds()]).toEqual([0, 1, 1]);
});

test.each([
  // left of a 900 s token, wanted, waits for a new one
  [300, 301, true],
  [300, 299, false],
  [30, 0, false],
  [30, 40, true],
])("with %i s left a call that wants %i s waits: %s", async (left, wanted, waits) => {
  const { manager, advance, asked, last } = openManager({ autoRefresh: false });
  manager.setToken("t1", 900);
  await advance((900 - left) * 1000);
  const call = manager.getToken({ minTtlMs: wanted * 1000 });
  if (waits) {
    expect(asked).toHaveLength(1);
    last().answer({ token: "t2", expiresIn: 900 });
  }
  expect(await call).toBe(waits ? "t2" : "t1");
});

test("a call that wants more than a token ever lives gets each new one without asking again", async () => {
  const { manager, advance, asked } = openManager({ autoRefresh: false });
  manager.setToken("t1", 60);
  await advance(11_000);
  expect(await manager.getToken({ minTtlMs: 3_600_000 })).toBe("t1");
  expect(asked).toHaveLength(0);
});

test("when it cannot be had, the call goes on with the token that is still valid", async () => {
  const { manager, advance, last } = openManager({ autoRefresh: false });
  manager.setToken("t1", 900);
  await advance(600_000);
  const call = manager.getToken({ minTtlMs: 400_000 });
  last().fail(new Error("503"));
  expect(await call).toBe("t1");
});

test("a source that keeps sessions is told of the tokens it feeds, of sign-out after the token is gone, and of the end", async () => {
  const told: string[] = [];
  const { fetchWithAuth, conduit } = link.open({
    getToken: {
      getToken: () => "t1",
      attach(tokens) {
        told.push(`attached ${tokens.state}`);
        return () => told.push("detached");
      },
      async signOut() {
        told.push(`signed out, ${conduit.state}`);
      },
    },
  });
  await fetchWithAuth("/x");
  await conduit.signOut();
  conduit.dispose();
  expect(told).toEqual(["attached empty", "signed out, empty", "detached"]);
});

test("in a document, being shown, focused, restored from the back/forward cache and online again all count as resuming", async () => {
  const page = new EventTarget();
  vi.stubGlobal("document", { visibilityState: "visible" });
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
  vi.resetModules();
  const { defaultPlatform: inDocument } = await import("../../sdk/src/platform.ts");
  let resumed = 0;
  const stop = inDocument.onResume?.(() => {
    resumed++;
  });
  const types = ["visibilitychange", "pageshow", "focus", "online"];
  for (const type of types) page.dispatchEvent(new Event(type));
  expect(resumed).toBe(4);
  vi.stubGlobal("document", { visibilityState: "hidden" });
  for (const type of types) page.dispatchEvent(new Event(type));
  expect(resumed, "a hidden page starts nothing").toBe(4);
  stop?.();
  vi.stubGlobal("document", { visibilityState: "visible" });
  for (const type of types) page.dispatchEvent(new Event(type));
  expect(resumed).toBe(4);
  expect(defaultPlatform.onResume, "absent outside documents").toBeUndefined();
});
