// The kit for users' tests, used as they would: their client, a fake proxy, a clock they move.
import { afterEach, describe, expect, test, vi } from "vitest";
import { createConduit, isConduitError, isTokenExpired } from "../../../sdk/src/index.ts";
import { UserTokenError, verifyUserToken } from "../../../sdk/src/server/index.ts";
import {
  createFakeClock,
  createFakeProxy,
  type FakeProxyOptions,
  makeToken,
  TEST_SECRET,
} from "../../../sdk/src/testing/index.ts";
import { rejection } from "../fake-link.ts";

afterEach(() => vi.useRealTimers());

function openApp(options: FakeProxyOptions = {}) {
  const clock = createFakeClock();
  const proxy = createFakeProxy({ clock, ...options });
  const asked: string[] = [];
  const conduit = createConduit({
    url: proxy.url,
    linkToken: proxy.linkToken,
    getToken: ({ reason }) => {
      asked.push(reason);
      return makeToken({ claims: { sub: "123" }, clock });
    },
    platform: { ...clock.platform, fetch: proxy.fetch },
  });
  return { clock, proxy, asked, conduit };
}

describe("makeToken", () => {
  const verify = (token: string, secret = TEST_SECRET) => verifyUserToken(token, { secret });

  test("makes a token that verifies, with the claims asked for", async () => {
    expect(await verify(await makeToken({ claims: { role: "admin" } }))).toMatchObject({
      sub: "user-123",
      role: "admin",
    });
    expect(
      await verify(await makeToken({ claims: { sub: "7" }, secret: "s".repeat(32) }), "s".repeat(32)),
    ).toMatchObject({
      sub: "7",
    });
  });

  test.each([
    ["expired", { expired: true }, "Token expired"],
    ["tampered", { tampered: true }, "Invalid signature"],
    ["without exp", { claims: { exp: undefined } }, "Missing required claim: exp"],
    ["not yet valid", { claims: { nbf: 4e9 } }, "Token not yet valid"],
  ])("%s: refused as it should be", async (_name, options, message) => {
    expect(await rejection(verify(await makeToken(options)))).toEqual(new UserTokenError(message));
  });

  test("an expired one counts as expired for the page too", async () => {
    expect([isTokenExpired(await makeToken({ expired: true })), isTokenExpired(await makeToken())]).toEqual([
      true,
      false,
    ]);
  });
});

describe("the fake proxy", () => {
  test("lets through what the proxy would, and tells what arrived", async () => {
    const { proxy, conduit } = openApp();
    const response = await conduit.fetchWithAuth("/notes?q=1", { method: "POST", body: "text" });
    expect(await response.json()).toEqual({ method: "POST", path: "/notes?q=1", subject: "123" });
    expect(proxy.received).toMatchObject([{ method: "POST", path: "/notes?q=1", body: "text", subject: "123" }]);
  });

  test("answers what the test's upstream answers", async () => {
    const { conduit } = openApp({ upstream: () => new Response("teapot", { status: 418 }) });
    expect((await conduit.fetchWithAuth("/x")).status).toBe(418);
  });

  test.each([
    ["link_token_missing", {}],
    ["link_token_invalid", { "X-Access-Token": "cl_pub_other" }],
    ["token_missing", { "X-Access-Token": "cl_pub_test" }],
    ["token_malformed", { "X-Access-Token": "cl_pub_test", Authorization: "Bearer x" }],
  ])("%s: 401 with the header the SDK looks at", async (code, headers) => {
    const { fetch, url, received } = createFakeProxy();
    const response = await fetch(`${url}/x`, { headers: headers as Record<string, string> });
    expect([response.status, response.headers.get("X-Conduit-Error"), received]).toEqual([401, code, []]);
    expect(await response.json()).toMatchObject({ code, status: 401 });
  });

  test.each([
    ["token_expired", { expired: true }],
    ["token_signature_invalid", { tampered: true }],
    ["token_claim_invalid", { claims: { sub: 7 } }],
  ])("%s is refused before the upstream", async (code, options) => {
    const { fetch, url, linkToken, received } = createFakeProxy();
    const headers = { "X-Access-Token": linkToken, Authorization: `Bearer ${await makeToken(options)}` };
    expect((await fetch(`${url}/x`, { headers })).headers.get("X-Conduit-Error")).toBe(code);
    expect(received).toEqual([]);
  });

  test("a revoked token is replaced once, and the call is answered", async () => {
    const { proxy, conduit, asked } = openApp();
    proxy.revoke(await conduit.tokens.getToken());
    expect((await conduit.fetchWithAuth("/x")).status).toBe(200);
    expect([asked, proxy.refusals]).toEqual([["initial", "unauthorized"], ["token_revoked"]]);
  });

  test("any other refusal can be planned", async () => {
    const { proxy, conduit } = openApp();
    proxy.refuseNext("rule_denied");
    const statuses = [await conduit.fetchWithAuth("/x"), await conduit.fetchWithAuth("/x")].map(({ status }) => status);
    expect([statuses, proxy.refusals]).toEqual([[403, 200], ["rule_denied"]]);
  });

  test("elsewhere there is nothing", async () => {
    expect(await rejection(createFakeProxy().fetch("https://other.test/x"))).toBeInstanceOf(TypeError);
  });
});

describe("the fake clock", () => {
  test("a token is refreshed before it expires, without waiting", async () => {
    const { clock, conduit, asked } = openApp();
    await conduit.fetchWithAuth("/x");
    await clock.advance(839_000);
    expect(asked).toEqual(["initial"]);
    await clock.advance(2_000);
    expect(asked).toEqual(["initial", "proactive"]);
    conduit.dispose();
    expect(clock.pendingTimers).toBe(0);
  });

  test("a machine that slept asks anew when it wakes", async () => {
    const { clock, conduit, asked } = openApp();
    await conduit.fetchWithAuth("/x");
    clock.jumpWallClock(3_600_000);
    await clock.resume();
    expect(asked).toEqual(["initial", "resume"]);
  });

  test("a source that hangs is given up, also where the test's runner has replaced the timers", async () => {
    vi.useFakeTimers();
    const clock = createFakeClock();
    const conduit = createConduit({
      url: "https://proxy.test/l",
      getToken: () => new Promise<never>(() => {}),
      platform: clock.platform,
    });
    const call = rejection(conduit.fetchWithAuth("/x"));
    await clock.advance(10_000);
    expect(isConduitError(await call, "refresh_timeout")).toBe(true);
  });
});
