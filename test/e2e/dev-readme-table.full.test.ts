// The SDK's README has a table for those who call a link by hand, as the blog post and the guides the product grew from show it: each row's
// right side runs against `conduit dev`. A row without a case, or a case without a row, fails.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Conduit, createConduit, isTokenExpired, TokenManager } from "@conduit-link/sdk";
import { expoPlatform, secureStore } from "@conduit-link/sdk/expo";
import { conduitCallbacks, createProxyHandler } from "@conduit-link/sdk/next";
import { ConduitProvider, type UseConduit, useConduit } from "@conduit-link/sdk/react";
import {
  assertionKeys,
  type ControlClient,
  createControlClient,
  isControlError,
  signUserToken,
  verifyAssertion,
  verifyUserToken,
} from "@conduit-link/sdk/server";
import { createSession, indexedDbStore, storageStore } from "@conduit-link/sdk/session";
import { makeToken } from "@conduit-link/sdk/testing";
import jwt from "jsonwebtoken";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { beforeAll, expect, test } from "vitest";
import { phone } from "../sdk/adapters/fake-phone.ts";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { startHttpServer } from "../support/http-server.ts";
import { ROOT } from "../support/source-file.ts";
import { until } from "../support/until.ts";

const USER = "123";
const PROFILE = `/api/users/${USER}/profile`;
const CLAIMS = { email: "ada@example.com", role: "premium" };

interface Echo {
  readonly target: string;
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly key_ok: boolean;
}

let dev: DevFile;
let control: ControlClient;
/** A user's JWT, as `signUserToken` makes it. */
let sign: (expiresIn?: string) => Promise<string>;
let minted: { parent: string; subject: string; links: string[]; claims: Record<string, unknown> };

beforeAll(async () => {
  dev = (await startConduit("dev")).dev;
  control = createControlClient({ url: dev.control_url, apiKey: dev.api_key });
  sign = (expiresIn = "15m") =>
    signUserToken({ sub: USER, claims: CLAIMS, secret: dev.hs256_secret, issuer: dev.iss, expiresIn });
  minted = { parent: dev.project, subject: USER, links: [dev.link], claims: CLAIMS };
}, 90_000);

const open = (getToken: Parameters<typeof createConduit>[0]["getToken"] = () => sign()): Conduit =>
  createConduit({ url: `${dev.proxy_url}/${dev.link_id}`, linkToken: dev.link_token, getToken, autoRefresh: false });

/** The call arrived at the upstream with the key, in the user's name. */
async function expectArrived(response: Response, target = PROFILE): Promise<Echo> {
  const echo = (await response.json()) as Echo;
  expect(echo).toMatchObject({ target, key_ok: true });
  expect(headerOf(echo, "x-user-id")).toBe(USER);
  return echo;
}

const headerOf = ({ headers }: Echo, wanted: string): string | undefined =>
  headers.find(([name]) => name.toLowerCase() === wanted)?.[1];

const refusalOf = (response: Response): [number, string | null] => [
  response.status,
  response.headers.get("x-conduit-error"),
];

/** By the beginning of the row's left side. */
const ROWS: Readonly<Record<string, () => Promise<void>>> = {
  '`fetch("https://proxy': async () => {
    await expectArrived(await open().fetchWithAuth(PROFILE));
  },

  "a `useAuth().getToken()` hook": async () => {
    let seen: UseConduit | undefined;
    const Page = () => {
      seen = useConduit();
      return createElement("p", null, seen.state);
    };
    const conduit = open();
    renderToString(createElement(ConduitProvider, { conduit }, createElement(Page)));
    await expectArrived(await seen!.fetchWithAuth(PROFILE));
    await seen!.signOut();
    expect(conduit.state).toBe("empty");
  },

  "`if (response.status === 401)": async () => {
    const expired = jwt.sign({ sub: USER, ...CLAIMS, iss: dev.iss, exp: 1 }, dev.hs256_secret);
    let asked = 0;
    const cured = open(async () => (asked++ === 0 ? { token: expired, expiresIn: 900 } : sign()));
    await expectArrived(await cured.fetchWithAuth(PROFILE));
    expect(asked).toBe(2);
    asked = 0;
    const incurable = open(() => ({ token: expired, expiresIn: 900 + asked++ }));
    expect(refusalOf(await incurable.fetchWithAuth(PROFILE))).toEqual([401, "token_expired"]);
    expect(asked).toBeLessThanOrEqual(2);
  },

  "`class TokenManager": async () => {
    const [first, second] = await Promise.all([sign(), sign()]);
    const manager = new TokenManager({ refresh: () => ({ token: second, expiresIn: 900 }) });
    manager.setToken(first, 900);
    expect(await manager.getToken()).toBe(first);
    expect(await manager.refresh()).toBe(second);
    manager.clear();
    expect(manager.state).toBe("empty");
    manager.dispose();
  },

  "`jwt.decode(token).exp": async () => {
    const token = await sign("60s");
    expect([isTokenExpired(token), isTokenExpired(token, 120), isTokenExpired(null)]).toEqual([false, true, true]);
  },

  "`jwt.sign({ sub, email, role }": async () => {
    const secret = dev.hs256_secret;
    const token = await signUserToken({ sub: USER, claims: CLAIMS, secret, issuer: dev.iss, expiresIn: "24h" });
    const theirs = jwt.sign({ sub: USER, ...CLAIMS }, secret, {
      algorithm: "HS256",
      expiresIn: "24h",
      issuer: dev.iss,
    });
    const claimsOf = (it: string) =>
      jwt.verify(it, secret, { algorithms: ["HS256"], issuer: dev.iss }) as jwt.JwtPayload;
    const lifetimeOf = ({ exp = 0, iat = 0 }: jwt.JwtPayload) => exp - iat;
    expect(claimsOf(token)).toMatchObject({ sub: USER, ...CLAIMS, iss: dev.iss });
    expect(lifetimeOf(claimsOf(token))).toBe(lifetimeOf(claimsOf(theirs)));
    const echo = await expectArrived(await open(() => token).fetchWithAuth(PROFILE));
    expect(headerOf(echo, "x-user-roles")).toBe("premium");
  },

  '`jwt.sign({ sub, type: "refresh" }': async () => {
    const first = await control.mintToken({ ...minted, session: {} });
    await expectArrived(await open(() => first).fetchWithAuth(PROFILE));
    const next = async (refreshToken = "") => (await control.refreshToken({ refreshToken })).refreshToken;
    const second = await next(first.refreshToken);
    const third = await next(second);
    expect(new Set([first.refreshToken, second, third]).size).toBe(3);
    const reuse = await next(first.refreshToken).catch((error: unknown) => error);
    expect(isControlError(reuse)).toBe(true);
    // The session is over, for whoever has the newest token too.
    expect(isControlError(await next(third).catch((error: unknown) => error))).toBe(true);
  },

  '`authorization.split(" ")': async () => {
    const claims = await verifyUserToken(await sign(), { secret: dev.hs256_secret, issuer: dev.iss });
    expect(claims).toMatchObject({ sub: USER, role: "premium" });
    await using upstream = await startHttpServer(() => ({ body: {} }));
    await control.call("conduit.v1.LinkService", "CreateLink", {
      parent: dev.project,
      linkId: "asserting",
      link: {
        upstream: { baseUrl: upstream.url, allowPrivate: true },
        issuers: [dev.issuer],
        linkTokenMode: "LINK_TOKEN_MODE_OFF",
        rules: [{ path: "/**" }],
        identityAssertion: true,
      },
    });
    const request = await until("a request comes through", async () => {
      await fetch(`${dev.proxy_url}/asserting/x`, { headers: { Authorization: `Bearer ${await sign()}` } });
      return upstream.requests.at(-1);
    });
    const issuer = dev.built_in_iss;
    const options = { issuer, audience: upstream.url, keys: assertionKeys({ issuer }) };
    expect((await verifyAssertion(request.header("x-conduit-assertion")[0], options)).sub).toBe(USER);
  },

  "a list of revoked `jti`": async () => {
    const { accessToken, tokenId } = await control.mintToken(minted);
    const call = () => open(() => accessToken).fetchWithAuth(PROFILE);
    await expectArrived(await call());
    await control.revokeToken({ parent: dev.project, tokenId });
    await until("the proxy refuses it", async () => refusalOf(await call())[1] === "token_revoked" || undefined);
  },

  '`res.cookie("jwt"': async () => {
    // Driven by ./dev-node-backend.test.ts and, in a browser, by test/browser/node-backend.test.ts.
    const source = readFileSync(join(ROOT, "sdk/examples/node-backend/back-end.ts"), "utf8");
    expect(source).toContain('["HttpOnly", "SameSite=Strict", "Path=/"');
  },

  '`localStorage.setItem("token"': async () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    };
    const session = createSession({ store: storageStore(storage), refresh: () => null });
    await session.signIn({ accessToken: await sign(), expiresIn: 900 });
    // After a reload.
    const again = createSession({ store: storageStore(storage), refresh: () => null });
    await expectArrived(await open(again).fetchWithAuth(PROFILE));
    await again.signOut();
    expect([...kept.values()].join()).not.toContain("eyJ");
    // In real browsers: test/browser/session-tabs.test.ts.
    expect(indexedDbStore()).toHaveProperty("swap");
  },

  '`SecureStore.getItemAsync("jwt_token")`': async () => {
    phone.reset();
    phone.entries.set("jwt_token", await sign());
    const session = createSession({ store: secureStore({ key: "jwt_token" }), refresh: () => null });
    const url = `${dev.proxy_url}/${dev.link_id}`;
    const conduit = createConduit({ url, linkToken: dev.link_token, getToken: session, platform: expoPlatform() });
    await expectArrived(await conduit.fetchWithAuth(PROFILE));
    conduit.dispose();
  },

  "`pages/api/proxy/[...path].js`": async () => {
    let token: string | null = null;
    const url = `${dev.proxy_url}/${dev.link_id}`;
    const handler = createProxyHandler({ url, linkToken: dev.link_token, getToken: () => token });
    const path = PROFILE.slice(1).split("/");
    const call = () =>
      handler(new Request(`http://app.example/api/proxy${PROFILE}?tab=1`), { params: Promise.resolve({ path }) });
    const refused = await call();
    expect([refused.status, await refused.json()]).toEqual([401, { error: "Not authenticated" }]);
    token = await sign();
    await expectArrived(await call(), `${PROFILE}?tab=1`);
  },

  "`callbacks: { jwt({ token, user })": async () => {
    const callbacks = conduitCallbacks();
    const user = { id: USER, role: "premium", tenantId: "acme" };
    const token = await callbacks.jwt({ token: { sub: USER }, user });
    const session = callbacks.session({ session: { user: {}, expires: "" }, token });
    expect(session.user).toMatchObject({ role: "premium", tenantId: "acme" });
  },

  '`headers: { "X-Debug-JWT": "true" }`': async () => {
    const bad = jwt.sign({ sub: USER, iss: dev.iss }, dev.hs256_secret, { expiresIn: "1h" });
    const response = await open(() => bad).fetchWithAuth(PROFILE, { headers: { "X-Debug-JWT": "true" } });
    expect(((await response.json()) as { jwt_error: string }).jwt_error).toBe("Missing required claim: email");
  },

  "tokens with a bad signature": async () => {
    const claims = { sub: USER, ...CLAIMS, iss: dev.iss };
    const secret = dev.hs256_secret;
    const call = async (options: object) => {
      const token = await makeToken({ claims, secret, ...options });
      const response = await open(() => token).fetchWithAuth(PROFILE, { headers: { "X-Debug-JWT": "true" } });
      return ((await response.json()) as { jwt_error?: string }).jwt_error;
    };
    expect(await call({})).toBe(undefined);
    expect(await call({ expired: true })).toBe("Token expired");
    expect(await call({ tampered: true })).toBe("Invalid signature");
  },
};

const readme = readFileSync(join(ROOT, "sdk/README.md"), "utf8");
const table = /^\| by hand \|.*\n\|.*\n((?:\|.*\n)+)/m.exec(readme)?.[1] ?? "";
const rows = table.trim().split("\n");

test("every row of the README's table has its case here", () => {
  const beginnings = Object.keys(ROWS);
  expect(rows.filter((row) => !beginnings.some((it) => row.startsWith(`| ${it}`)))).toEqual([]);
  expect(beginnings.filter((it) => !rows.some((row) => row.startsWith(`| ${it}`)))).toEqual([]);
});

test.each(Object.entries(ROWS))("%s", (_row, run) => run());
