// Whoever has read the product's own blog post will try its calls: each of them against `conduit dev`, written anew.
// Where the post's code cannot work as printed, the test says why and pins the answer its reader gets.
import { createConduit, isTokenExpired, TokenManager } from "@conduit-link/sdk";
import jwt from "jsonwebtoken";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";

const USER = {
  id: "123",
  email: "ada@example.com",
  role: "premium",
  subscriptionTier: "gold",
  permissions: ["read", "write"],
};

let dev: DevFile;
let linkUrl: string;
let openUrl: string;

beforeAll(async () => {
  dev = (await startConduit("dev")).dev;
  linkUrl = `${dev.proxy_url}/${dev.link_id}`;
  openUrl = `${dev.proxy_url}/${dev.open_link_id}`;
}, 90_000);

interface Echo {
  readonly method: string;
  readonly target: string;
  readonly headers: Array<[string, string]>;
  readonly body: string;
  readonly key_ok: true;
}

const nowSeconds = () => Math.floor(Date.now() / 1_000);

/** The claims every demo token needs beside what a test is about: the demo link names its issuer. */
const sign = (claims: object, options: jwt.SignOptions = {}) =>
  jwt.sign({ iss: dev.iss, ...claims }, dev.hs256_secret, { algorithm: "HS256", ...options });

const appHeaders = (token: string): Record<string, string> => ({
  "X-Access-Token": dev.link_token,
  Authorization: `Bearer ${token}`,
  "Content-Type": "application/json",
});

const headersOf = (echo: Echo, name: string) =>
  echo.headers.filter(([it]) => it.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

describe("tokens as the post makes them", () => {
  const claimSets: Array<[what: string, claims: () => object, options: jwt.SignOptions]> = [
    [
      "sub, email, role and exp in the payload",
      () => ({ sub: USER.id, email: USER.email, role: "premium", exp: nowSeconds() + 3_600 }),
      {},
    ],
    [
      "tier and permissions, expiresIn 24h",
      () => ({
        sub: USER.id,
        email: USER.email,
        role: USER.role,
        tier: USER.subscriptionTier,
        permissions: USER.permissions,
      }),
      { expiresIn: "24h" },
    ],
    [
      "iat and exp set by hand",
      () => ({ sub: USER.id, iat: nowSeconds(), exp: nowSeconds() + 3_600, email: USER.email, role: USER.role }),
      {},
    ],
    ["expiresIn 15m", () => ({ sub: USER.id, email: USER.email }), { expiresIn: "15m" }],
    [
      "an audience, though the link asks for none",
      () => ({ sub: USER.id, email: USER.email, aud: "conduit-api" }),
      { expiresIn: "15m" },
    ],
  ];

  test.each(claimSets)("%s: accepted", async (_what, claims, options) => {
    const response = await fetch(`${linkUrl}/api/users/123/profile`, { headers: appHeaders(sign(claims(), options)) });
    const echo = (await response.json()) as Echo;
    expect([response.status, echo.key_ok]).toEqual([200, true]);
    expect(headersOf(echo, "X-User-ID")).toEqual(["123"]);
  });

  test("role, tenant and scope arrive as identity headers", async () => {
    const token = sign({
      sub: USER.id,
      email: USER.email,
      role: "premium",
      tenantId: "acme",
      scope: "read write",
      exp: nowSeconds() + 60,
    });
    const echo = (await (
      await fetch(`${linkUrl}/api/users/123/profile`, { headers: appHeaders(token) })
    ).json()) as Echo;
    expect(["X-User-Roles", "X-Tenant-ID", "X-User-Scopes"].map((name) => headersOf(echo, name))).toEqual([
      ["premium"],
      ["acme"],
      ["read write"],
    ]);
  });

  test("issuer: 'your-app-name': refused here, because a link names the issuers it trusts", async () => {
    const token = jwt.sign({ sub: USER.id, email: USER.email }, dev.hs256_secret, {
      expiresIn: "24h",
      issuer: "your-app-name",
    });
    const response = await fetch(`${linkUrl}/api/users/123/profile`, {
      headers: { ...appHeaders(token), "X-Debug-JWT": "true" },
    });
    expect([response.status, ((await response.json()) as { jwt_error: string }).jwt_error]).toEqual([
      401,
      "Invalid issuer",
    ]);
  });

  test("no exp (the Next.js handler's jwt.sign): refused, a token without end cannot be called back", async () => {
    const token = jwt.sign({ sub: USER.id, email: USER.email, role: "user", iss: dev.iss }, dev.hs256_secret);
    const response = await fetch(`${linkUrl}/api/users/123/profile`, {
      headers: { ...appHeaders(token), "X-Debug-JWT": "true" },
    });
    expect([response.status, ((await response.json()) as { jwt_error: string }).jwt_error]).toEqual([
      401,
      "Missing required claim: exp",
    ]);
  });

  test("a refresh token ({ sub, type: 'refresh' }) does not pass as the user's token: it lacks the required claim", async () => {
    const token = sign({ sub: USER.id, type: "refresh" }, { expiresIn: "7d" });
    const response = await fetch(`${linkUrl}/api/users/123/profile`, { headers: appHeaders(token) });
    expect([response.status, response.headers.get("x-conduit-error")]).toEqual([401, "token_claim_missing"]);
  });
});

describe("path variables: /api/users/{jwt.sub}/…", () => {
  const token = () => sign({ sub: "123", email: USER.email, role: "user" }, { expiresIn: "1h" });

  test("/api/users/123/profile is allowed for sub 123", async () => {
    expect((await fetch(`${linkUrl}/api/users/123/profile`, { headers: appHeaders(token()) })).status).toBe(200);
  });

  test("/api/users/456/profile is denied for sub 123, and says so", async () => {
    const response = await fetch(`${linkUrl}/api/users/456/profile`, { headers: appHeaders(token()) });
    expect([response.status, response.headers.get("x-conduit-error")]).toEqual([403, "rule_denied"]);
  });
});

describe("calls as the post makes them", () => {
  const token = () => sign({ sub: "123", email: USER.email }, { expiresIn: "1h" });

  test("X-Access-Token, Authorization and Content-Type: the body arrives, the two tokens do not", async () => {
    const response = await fetch(`${linkUrl}/api/users/123/notes`, {
      method: "POST",
      headers: appHeaders(token()),
      body: JSON.stringify({ text: "hello" }),
    });
    const echo = (await response.json()) as Echo;
    expect(echo.body).toBe('{"text":"hello"}');
    expect([headersOf(echo, "Authorization"), headersOf(echo, "X-Access-Token")]).toEqual([[], []]);
  });

  test("Authorization alone (the Auth0, Next.js and React Native snippets): refused where the app's token is required", async () => {
    const response = await fetch(`${linkUrl}/api/users/123/profile`, {
      headers: { Authorization: `Bearer ${token()}` },
    });
    const problem = (await response.json()) as { code: string; detail: string };
    expect([response.status, problem.code]).toEqual([401, "link_token_missing"]);
    expect(problem.detail).toBe("Missing access token: send the link's token in the X-Access-Token header");
  });

  test("Authorization alone works as printed on a link with link_token_mode OFF", async () => {
    const response = await fetch(`${openUrl}/api/users/123/profile`, {
      headers: { Authorization: `Bearer ${token()}` },
    });
    expect(response.status).toBe(200);
  });

  test("the React hook's fetchWithAuth: one retry on 401 with a new token, not the endless one of the post", async () => {
    let asked = 0;
    const conduit = createConduit({
      url: linkUrl,
      linkToken: dev.link_token,
      autoRefresh: false,
      getToken: () => {
        asked += 1;
        return asked === 1
          ? { token: sign({ sub: "123", email: USER.email, exp: nowSeconds() - 60 }), expiresIn: 900 }
          : token();
      },
    });
    const response = await conduit.fetchWithAuth("/api/users/123/profile", {
      headers: { "Content-Type": "application/json" },
    });
    expect([response.status, asked]).toEqual([200, 2]);
  });

  test("TokenManager: setToken(token, expiresIn) and refresh() as in the post's class", async () => {
    const manager = new TokenManager({ refresh: async () => ({ token: token(), expiresIn: 900 }) });
    manager.setToken(token(), 900);
    const first = await manager.getToken();
    await manager.refresh();
    expect(await manager.getToken()).not.toBe(undefined);
    expect(typeof first).toBe("string");
    manager.clear();
  });

  test("isTokenExpired(token) as the React Native client asks it", () => {
    expect([isTokenExpired(token()), isTokenExpired(sign({ sub: "1", exp: nowSeconds() - 1 }))]).toEqual([false, true]);
  });
});

describe("X-Debug-JWT: true names what is wrong in jwt_error", () => {
  const cases: Array<[text: string, token: () => string]> = [
    ["Token expired", () => sign({ sub: "123", email: USER.email, exp: nowSeconds() - 60 })],
    [
      "Invalid signature",
      () =>
        jwt.sign({ sub: "123", email: USER.email, iss: dev.iss }, "another-secret-another-secret-another", {
          expiresIn: "1h",
        }),
    ],
    ["Missing required claim: email", () => sign({ sub: "123" }, { expiresIn: "1h" })],
    ["Malformed token", () => "not-a-jwt"],
    [
      "Token not yet valid",
      () => sign({ sub: "123", email: USER.email, nbf: nowSeconds() + 600 }, { expiresIn: "1h" }),
    ],
    [
      "Algorithm not allowed: HS512",
      () => sign({ sub: "123", email: USER.email }, { expiresIn: "1h", algorithm: "HS512" }),
    ],
    [
      "Algorithm not allowed: none",
      () => jwt.sign({ sub: "123", email: USER.email, iss: dev.iss }, "", { algorithm: "none", expiresIn: "1h" }),
    ],
  ];

  test.each(cases)("%s", async (text, token) => {
    const response = await fetch(`${linkUrl}/api/users/123/profile`, {
      headers: { ...appHeaders(token()), "X-Debug-JWT": "true" },
    });
    expect([response.status, ((await response.json()) as { jwt_error: string }).jwt_error]).toEqual([401, text]);
  });

  test("the post's snippet without X-Access-Token gets its error on the open link", async () => {
    const headers = { Authorization: `Bearer ${sign({ sub: "123" }, { expiresIn: "1h" })}`, "X-Debug-JWT": "true" };
    const response = await fetch(`${openUrl}/api/users/123/profile`, { headers });
    expect(((await response.json()) as { jwt_error: string }).jwt_error).toBe("Missing required claim: email");
  });

  test("without the header nothing is told", async () => {
    const response = await fetch(`${linkUrl}/api/users/123/profile`, {
      headers: appHeaders(sign({ sub: "123" }, { expiresIn: "1h" })),
    });
    expect(await response.json()).not.toHaveProperty("jwt_error");
  });
});

test("per-user rate limiting by sub: one user's burst does not slow another", async () => {
  const call = (sub: string) => {
    const token = sign({ sub, email: USER.email }, { expiresIn: "1h" });
    return fetch(`${linkUrl}/api/users/${sub}/profile`, { headers: appHeaders(token) });
  };
  const burst = await Promise.all(Array.from({ length: 30 }, () => call("burst-user")));
  const refused = burst.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(8);
  expect(refused[0]?.headers.get("x-conduit-error")).toBe("rate_limited");
  expect(Number(refused[0]?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect((await call("quiet-user")).status).toBe(200);
});
