import { expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { rejection, useFakeLink } from "./fake-link.ts";
import { createFakePlatform, settle } from "./fake-platform.ts";
import { expectCode, openManager } from "./opened-tokens.ts";

const link = useFakeLink();

/** An error as a token source throws it when its server asks for patience. */
const patience = (retryAfterMs: number) => Object.assign(new Error("429"), { retryAfterMs });

/** A client of a server that answers 429 `times` times, with this `Retry-After`. */
function openLimited(retryAfter: string | undefined, { times = 1, retryAfterMaxMs = 10_000 } = {}) {
  const { platform, advance, delaysMs } = createFakePlatform();
  let left = times;
  const fetch = async () => {
    if (left-- <= 0) return new Response("ok");
    return new Response("slow down", {
      status: 429,
      headers: retryAfter === undefined ? {} : { "Retry-After": retryAfter },
    });
  };
  const opened = link.open({ platform: { ...platform, fetch }, autoRefresh: false, retryAfterMaxMs });
  return { ...opened, advance, delaysMs };
}

test("a 429 is returned at once unless the client says how long it would wait", async () => {
  link.answer = () => ({ status: 429, headers: { "retry-after": "1" }, body: "slow down" });
  const response = await link.open().fetchWithAuth("/x");
  expect([response.status, await response.text(), link.proxy.requests.length]).toEqual([429, "slow down", 1]);
});

test("within the client's bound a 429 is waited for and the call sent once more, whatever its method", async () => {
  const { fetchWithAuth, advance } = openLimited("3");
  const call = fetchWithAuth("/x", { method: "POST", body: "hello" });
  let answered = false;
  void call.then(() => {
    answered = true;
  });
  await advance(2_999);
  expect(answered).toBe(false);
  await advance(1_000);
  expect((await call).status).toBe(200);
});

test("Retry-After as a date counts from now", async () => {
  const { fetchWithAuth, advance } = openLimited(new Date(Date.UTC(2026, 10, 25, 12, 0, 5)).toUTCString());
  const call = fetchWithAuth("/x");
  await advance(6_000);
  expect((await call).status).toBe(200);
});

test.each([
  ["a longer wait than the bound", "11", {}, undefined],
  ["no Retry-After", undefined, {}, undefined],
  ["a Retry-After that is neither", "soon", {}, undefined],
  ["a streamed body", "1", {}, () => new Blob(["x"]).stream()],
] as const)("%s is returned at once", async (_name, retryAfter, options, makeBody) => {
  const { fetchWithAuth } = openLimited(retryAfter, options);
  const response = await fetchWithAuth("/x", makeBody ? { method: "POST", body: makeBody() } : {});
  expect(response.status).toBe(429);
});

test("the second 429 in a row is the answer", async () => {
  const { fetchWithAuth, advance } = openLimited("1", { times: 2 });
  const call = fetchWithAuth("/x");
  await advance(10_000);
  expect((await call).status).toBe(429);
});

test("the caller's signal ends the wait", async () => {
  const { fetchWithAuth, advance } = openLimited("5");
  const controller = new AbortController();
  const call = rejection(fetchWithAuth("/x", { signal: controller.signal }));
  await advance(1_000);
  controller.abort(new Error("left"));
  expect(await call).toMatchObject({ message: "left" });
});

test("a call that waits out a 429 is not sent again in the name of who signed in meanwhile", async () => {
  const { fetchWithAuth, conduit, advance } = openLimited("5");
  const call = rejection(fetchWithAuth("/pay", { method: "POST", body: "10" }));
  await advance(1_000);
  await conduit.signOut();
  conduit.tokens.setToken("token-of-b", 900);
  await advance(5_000);
  expect(isConduitError(await call, "session_lost")).toBe(true);
});

test("when the source's server asks for patience, calls fail at once until then, with its error, and keep the session", async () => {
  const { manager, asked, last, advance } = openManager({ autoRefresh: false });
  const first = expectCode(manager.getToken(), "refresh_failed");
  last().fail(patience(30_000));
  await first;
  expect(await expectCode(manager.getToken(), "refresh_failed")).toBe(await first);
  await advance(29_999);
  await expectCode(manager.getToken(), "refresh_failed");
  expect(asked).toHaveLength(1);
  await advance(1_001);
  const next = manager.getToken();
  last().answer("t1");
  expect(await next).toBe("t1");
});

test("refresh() asks all the same: somebody pressed a button", async () => {
  const { manager, last } = openManager();
  const first = expectCode(manager.getToken(), "refresh_failed");
  last().fail(patience(30_000));
  await first;
  const pressed = manager.refresh();
  last().answer("t1");
  expect(await pressed).toBe("t1");
});

test("no server can silence a client for longer than five minutes", async () => {
  const { manager, asked, last, advance } = openManager({ autoRefresh: false });
  const first = expectCode(manager.getToken(), "refresh_failed");
  last().fail(patience(86_400_000));
  await first;
  await advance(301_000);
  void manager.getToken().catch(() => {});
  expect(asked).toHaveLength(2);
});

test("an app that calls in a loop while its source fails does not become a storm: after ten failures calls are spaced too", async () => {
  const { manager, asked, advance } = openManager({ autoRefresh: false });
  const failed = new Set<unknown>();
  for (let step = 0; step < 600; step++) {
    void manager.getToken().catch(() => {});
    for (const context of asked.filter((each) => !failed.has(each))) {
      failed.add(context);
      context.fail(new Error("503"));
    }
    await settle();
    await advance(100);
  }
  expect(asked.length, "in a minute, against 600 calls").toBeLessThan(12);
  expect(asked.length).toBeGreaterThanOrEqual(10);
});

test("showing the page overrides our own backoff, for the network may be back, but not what a server asked for", async () => {
  for (const [error, rounds] of [[new Error("offline"), 2] as const, [patience(30_000), 1] as const]) {
    const { manager, asked, last, advance, resume } = openManager();
    manager.setToken("t1", 100);
    await advance(80_000);
    last().fail(error);
    await settle();
    await resume();
    expect(asked).toHaveLength(rounds);
  }
});
