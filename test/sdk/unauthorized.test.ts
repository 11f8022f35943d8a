import { expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { rejection, useFakeLink } from "./fake-link.ts";
import { settle } from "./fake-platform.ts";

const link = useFakeLink();

test.each(["token_missing", "token_expired", "token_revoked", "token_signature_invalid"])(
  "the proxy's %s costs one refresh and one more attempt",
  async (code) => {
    link.refusal = code;
    link.refused.add("t1");
    const { fetchWithAuth, rounds } = link.open();
    expect((await fetchWithAuth("/x")).status).toBe(200);
    expect(link.tokensSeen()).toEqual(["Bearer t1", "Bearer t2"]);
    expect(rounds()).toBe(2);
  },
);

test.each([
  "token_malformed",
  "token_audience_mismatch",
  "link_token_invalid",
  "token_claim_missing",
  "x_token_expired",
])("the proxy's %s, which no refresh can cure, is returned", async (code) => {
  link.refusal = code;
  link.refused.add("t1");
  const { fetchWithAuth, rounds } = link.open();
  const response = await fetchWithAuth("/x");
  expect([response.status, await response.json(), rounds()]).toEqual([401, { code }, 1]);
});

test("an upstream's own 401 and 403 pass untouched and cost no refresh", async () => {
  for (const status of [401, 403]) {
    link.answer = () => ({ status, headers: { "www-authenticate": 'Bearer error="invalid_token"' }, body: "theirs" });
    const { fetchWithAuth, rounds } = link.open();
    const response = await fetchWithAuth("/x");
    expect([response.status, await response.text(), rounds()]).toEqual([status, "theirs", 1]);
  }
});

test("50 concurrent calls refused together cause one refresh", async () => {
  link.refused.add("t1");
  const { fetchWithAuth, rounds } = link.open();
  const responses = await Promise.all(Array.from({ length: 50 }, (_, index) => fetchWithAuth(`/${index}`)));
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  expect(rounds()).toBe(2);
});

test("a 401 that arrives after the refresh causes no second one", async () => {
  const waiting: (() => void)[] = [];
  const responses = [0, 1].map(() => new Promise<void>((resolve) => waiting.push(resolve)));
  const fetch = async (input: string | Request, init: RequestInit) => {
    const token = new Headers(init.headers).get("Authorization");
    if (token !== "Bearer t1") return new Response("ok");
    await responses[String(input).endsWith("/early") ? 0 : 1];
    return new Response("no", { status: 401, headers: { "X-Conduit-Error": "token_expired" } });
  };
  const { fetchWithAuth, rounds } = link.open({ platform: { fetch } });
  const early = fetchWithAuth("/early");
  const late = fetchWithAuth("/late");
  await settle();
  waiting[0]?.();
  expect((await early).status).toBe(200);
  waiting[1]?.();
  expect((await late).status).toBe(200);
  expect(rounds()).toBe(2);
});

test("when the new token is refused too, its 401 is returned, the session goes on, and nothing loops", async () => {
  link.refused = new Set(["t1", "t2"]);
  const { fetchWithAuth, rounds, conduit } = link.open();
  const response = await fetchWithAuth("/x");
  expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
  expect([rounds(), link.proxy.requests.length, conduit.state]).toEqual([2, 2, "ready"]);
});

test("when no new token is to be had, the first 401 is returned, its body unread", async () => {
  for (const failing of [
    () => null,
    () => {
      throw new Error("offline");
    },
  ]) {
    link.refused.add("t1");
    let round = 0;
    const { fetchWithAuth } = link.open({ getToken: () => (++round === 1 ? "t1" : failing()) });
    const response = await fetchWithAuth("/x");
    expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
  }
});

test("the body of a 401 that is followed by a second attempt is cancelled before it", async () => {
  const order: string[] = [];
  const fetch = async () => {
    order.push("sent");
    if (order.length > 1) return new Response("ok");
    const body = new ReadableStream({ cancel: () => void order.push("cancelled") });
    return new Response(body, { status: 401, headers: { "X-Conduit-Error": "token_expired" } });
  };
  await link.open({ platform: { fetch } }).fetchWithAuth("/x");
  expect(order).toEqual(["sent", "cancelled", "sent"]);
});

test("signing out while the answer is on its way: its 401 asks for no new token", async () => {
  link.refused.add("t1");
  const { fetchWithAuth, conduit, rounds } = link.open();
  await conduit.tokens.getToken();
  const call = fetchWithAuth("/x");
  await settle();
  await conduit.signOut();
  expect((await call).status).toBe(401);
  expect([rounds(), conduit.state]).toEqual([1, "empty"]);
});

test("a request of one person is never sent again in the name of the next", async () => {
  link.refused.add("token-of-a");
  const { fetchWithAuth, conduit } = link.open();
  conduit.tokens.setToken("token-of-a", 900);
  const call = fetchWithAuth("/pay", { method: "POST", body: "10" });
  await settle();
  await conduit.signOut();
  conduit.tokens.setToken("token-of-b", 900);
  expect((await call).status).toBe(401);
  expect(link.tokensSeen()).toEqual(["Bearer token-of-a"]);
});

test("signed out, nothing is sent and the call rejects with session_lost", async () => {
  const { fetchWithAuth } = link.open({ getToken: () => null });
  expect(isConduitError(await rejection(fetchWithAuth("/x")), "session_lost")).toBe(true);
  expect(link.proxy.requests).toEqual([]);
});
