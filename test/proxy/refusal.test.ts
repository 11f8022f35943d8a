// contract.md 7: statuses, codes and texts.
import { describe, expect, test } from "vitest";
import { generateToken, hashToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import {
  fakeClock,
  LINK_ID,
  LINK_NAME,
  LINK_TOKEN,
  linkOf,
  type ProxyOptions,
  startProxy,
  userToken,
} from "./harness.ts";

async function proxyOf(options: Omit<ProxyOptions, "baseUrl"> = {}) {
  return startProxy({ baseUrl: "http://127.0.0.1:9", ...options });
}

const debug = { "x-debug-jwt": "true" };
const expired = () => userToken({}, { expiresIn: -10 });

test("a refusal is problem+json with its code in a header", async () => {
  const proxy = await proxyOf();
  const answer = await fetch(`${proxy.url}/x`);
  const requestId = answer.headers.get("x-request-id");
  expect(answer.status).toBe(401);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.headers.get("x-conduit-error")).toBe("link_token_missing");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("www-authenticate")).toBe(`Bearer realm="${LINK_ID}/app"`);
  expect(await answer.json()).toEqual({
    type: "https://conduit.link/errors/link_token_missing",
    title: "Missing access token",
    status: 401,
    detail: "Missing access token: send the link's token in the X-Access-Token header",
    code: "link_token_missing",
    request_id: requestId,
  });
});

test("HEAD gets the same head and no body", async () => {
  const proxy = await proxyOf();
  const answer = await fetch(`${proxy.url}/x`, { method: "HEAD" });
  expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([401, "link_token_missing"]);
  expect(Number(answer.headers.get("content-length"))).toBeGreaterThan(100);
  expect(await answer.text()).toBe("");
});

test.each([
  [
    "a wrong link token",
    { "x-access-token": "cl_pub_nonsense" },
    401,
    "link_token_invalid",
    `Bearer realm="${LINK_ID}/app", error="invalid_token"`,
  ],
  ["no user token", { authorization: "" }, 401, "token_missing", `Bearer realm="${LINK_ID}"`],
  [
    "an expired user token",
    { authorization: `Bearer ${expired()}` },
    401,
    "token_expired",
    `Bearer realm="${LINK_ID}", error="invalid_token"`,
  ],
])("%s", async (_what, headers, status, code, challenge) => {
  const proxy = await proxyOf();
  const good = { "x-access-token": LINK_TOKEN, authorization: `Bearer ${userToken()}` };
  const sent = Object.fromEntries(Object.entries({ ...good, ...headers }).filter(([, value]) => value !== ""));
  const answer = await fetch(`${proxy.url}/x`, { headers: sent });
  expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([status, code]);
  expect(answer.headers.get("www-authenticate")).toBe(challenge);
});

test("a scope that lacks is 403 and names the scope", async () => {
  const proxy = await proxyOf({ link: { scopesAll: ["read:all"] } });
  const answer = await proxy.call("/x");
  expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([403, "insufficient_scope"]);
  expect(answer.headers.get("www-authenticate")).toBe(
    `Bearer realm="${LINK_ID}", error="insufficient_scope", scope="read:all"`,
  );
});

test("links that are unknown, reserved paths and links that are off", async () => {
  const proxy = await proxyOf();
  const codeOf = async (url: string) => (await fetch(url)).headers.get("x-conduit-error");
  expect(await codeOf(`http://127.0.0.1:${proxy.port}/no-such-link/x`)).toBe("link_unknown");
  expect(await codeOf(`http://127.0.0.1:${proxy.port}/`)).toBe("link_unknown");
  expect(await codeOf(`${proxy.url}/.conduit/anything`)).toBe("link_unknown");
  const off = await proxyOf({ link: { state: "DISABLED" } });
  expect(await codeOf(`${off.url}/x`)).toBe("link_disabled");
});

test("before the first configuration everything is 503 with Retry-After", async () => {
  const proxy = await proxyOf({ isReady: false });
  const answer = await fetch(`${proxy.url}/x`);
  expect([answer.status, answer.headers.get("x-conduit-error"), answer.headers.get("retry-after")]).toEqual([
    503,
    "not_ready",
    "1",
  ]);
});

describe("debugging a JWT", () => {
  const bodyOf = async (proxy: { call(path: string, init: RequestInit): Promise<Response> }, headers: HeadersInit) =>
    (await (await proxy.call("/x", { headers })).json()) as Record<string, unknown>;

  test("says why where the link's debug is ON", async () => {
    const proxy = await proxyOf({ link: { debug: "ON" } });
    const body = await bodyOf(proxy, { ...debug, authorization: `Bearer ${expired()}` });
    expect(body.jwt_error).toBe("Token expired");
    const wrong = await bodyOf(proxy, { ...debug, authorization: `Bearer ${userToken({ iss: "https://other" })}` });
    expect([wrong.jwt_error, wrong.seen]).toEqual(["Invalid issuer", "https://other"]);
    expect(wrong.expected).toBe("https://app.example");
  });

  test("says why to holders of a debug key where it is KEY, until the key expires", async () => {
    const clock = fakeClock(Date.now());
    const proxy = await proxyOf({ clock });
    const key = generateToken("debugKey", systemRandom).reveal();
    const debugKeys = [{ keyHash: hashToken(key), expireTimeMs: clock.now() + 60_000 }];
    proxy.put({ kind: "link", name: LINK_NAME, link: linkOf("http://127.0.0.1:9"), debugKeys });
    const headers = { "x-debug-jwt": key, authorization: `Bearer ${expired()}` };
    expect((await bodyOf(proxy, headers)).jwt_error).toBe("Token expired");
    expect((await bodyOf(proxy, { ...headers, "x-debug-jwt": `${key}x` })).jwt_error).toMatch(/^JWT debugging is off/);
    clock.advance(60_000);
    expect((await bodyOf(proxy, headers)).jwt_error).toMatch(/^JWT debugging is off/);
    expect(proxy.logLines.join("")).not.toContain(key);
  });

  test("is not told to who does not ask", async () => {
    const proxy = await proxyOf({ link: { debug: "ON" } });
    const body = await bodyOf(proxy, { authorization: `Bearer ${expired()}` });
    expect(Object.keys(body)).not.toContain("jwt_error");
  });

  test.each(["KEY", "OFF"] as const)("%s: says how to switch it on, and nothing more", async (mode) => {
    const proxy = await proxyOf({ link: { debug: mode } });
    const body = await bodyOf(proxy, { ...debug, authorization: `Bearer ${expired()}` });
    expect(body.jwt_error).toBe("JWT debugging is off for this link; create a debug key under Security");
    expect(Object.keys(body)).not.toContain("seen");
    expect(Object.keys(body)).not.toContain("expected");
  });
});

test("a rule's message replaces the public text", async () => {
  const rule = {
    effect: "DENY" as const,
    methods: [],
    path: "/admin/**",
    query: {},
    claims: [],
    message: "Admin access required",
  };
  const proxy = await proxyOf({ link: { rules: [rule] } });
  const answer = await proxy.call("/admin/x");
  expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([403, "Admin access required"]);
});

test("the first stage that fails answers", async () => {
  const proxy = await proxyOf({
    link: { rules: [], limits: [{ name: "l", key: "link", requests: 1, windowMs: 60_000, burst: 1 }] },
  });
  const codeOf = async (headers: HeadersInit, path = "/x") =>
    (await fetch(proxy.url + path, { headers })).headers.get("x-conduit-error");
  expect(await codeOf({ authorization: "Bearer nonsense" })).toBe("link_token_missing");
  expect(await codeOf({ "x-access-token": LINK_TOKEN, authorization: "Bearer nonsense" }, "/a/..%2fb")).toBe(
    "token_malformed",
  );
  const good = { "x-access-token": LINK_TOKEN, authorization: `Bearer ${userToken()}` };
  expect(await codeOf(good, "/a/..%2fb")).toBe("path_ambiguous");
  expect(await codeOf(good)).toBe("rule_denied");
});
