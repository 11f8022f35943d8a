// The main job: an app calls an API through a link whose key it never sees, with a user's JWT.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createConduit } from "@conduit-link/sdk";
import jwt from "jsonwebtoken";
import { Provider } from "oidc-provider";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const UPSTREAM_KEY = "sk_live_the-key-nobody-sees_1234567890";
const HMAC_SECRET = "Zx81-quartz-violin-7-harbour-lantern-39";
const ISS = "https://login.shop.example";
const AUDIENCE = "https://api.shop.example";
const PROJECT = "projects/shop";

let stack: Stack;
let upstream: HttpServer;
let provider: { issuer: string; server: Server };
let link: { name: string; id: string; token: string };

beforeAll(async () => {
  [stack, upstream, provider] = await Promise.all([
    startStack(),
    startHttpServer(() => ({ body: { ok: true } })),
    startProvider(),
  ]);
  link = await createLink();
}, 90_000);

afterAll(async () => {
  provider.server.closeAllConnections();
  provider.server.close();
  await upstream.close();
});

beforeEach(() => {
  (upstream.requests as unknown[]).length = 0;
});

/** A real OpenID provider that issues RS256 access tokens to a machine client. */
async function startProvider(): Promise<{ issuer: string; server: Server }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const oidc = new Provider(issuer, {
    clients: [
      {
        client_id: "machine",
        client_secret: "machine-secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({
          scope: "",
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: () => ({ email: "machine@shop.example" }),
  });
  server.on("request", oidc.callback());
  return { issuer, server };
}

async function providerToken(): Promise<string> {
  const response = await fetch(`${provider.issuer}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${Buffer.from("machine:machine-secret").toString("base64")}` },
    body: new URLSearchParams({ grant_type: "client_credentials", resource: AUDIENCE }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function createLink() {
  const call = (service: string, method: string, message: object) =>
    stack.control.call<never>(`conduit.v1.${service}`, method, message as Record<string, unknown>);
  await call("ProjectService", "CreateProject", { projectId: "shop" });
  for (const [id, value] of Object.entries({ "api-key": UPSTREAM_KEY, hmac: HMAC_SECRET }))
    await call("SecretService", "CreateSecret", { parent: PROJECT, secretId: id, secret: { value } });
  await call("IssuerService", "CreateIssuer", {
    parent: PROJECT,
    issuerId: "own",
    issuer: { iss: ISS, hs256: { secret: `${PROJECT}/secrets/hmac` }, expLeeway: "0s" },
  });
  await call("IssuerService", "CreateIssuer", {
    parent: PROJECT,
    issuerId: "oidc",
    issuer: { iss: provider.issuer, jwksUrl: `${provider.issuer}/jwks`, allowPrivate: true },
  });
  const id = "shop-api";
  const { link: created } = (await call("LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: id,
    link: {
      upstream: { baseUrl: `${upstream.url}/v1/`, allowPrivate: true },
      injections: [{ header: {}, name: "X-Api-Key", secret: `${PROJECT}/secrets/api-key` }],
      issuers: [`${PROJECT}/issuers/own`, `${PROJECT}/issuers/oidc`, `${PROJECT}/issuers/built-in`],
      audiences: [AUDIENCE],
      requiredClaims: [{ path: "email" }],
      rules: [{ path: "/api/users/{jwt.sub}/**" }, { methods: ["GET"], path: "/catalogue/*" }],
      limits: [{ name: "per-user", requests: 10_000, window: "60s", burst: 1_000 }],
    },
  } as object)) as { link: { name: string } };
  const { linkToken } = (await call("LinkTokenService", "CreateLinkToken", {
    parent: created.name,
    linkToken: {},
  })) as {
    linkToken: { token: string };
  };
  await until("the link is served", async () => {
    const response = await fetch(`${stack.proxyUrl}/${id}/`, { headers: { "X-Access-Token": linkToken.token } });
    return response.headers.get("x-conduit-error") === "token_missing" ? true : undefined;
  });
  return { name: created.name, id, token: linkToken.token };
}

const userToken = (claims: object = {}) =>
  jwt.sign({ sub: "123", email: "ada@shop.example", aud: AUDIENCE, ...claims }, HMAC_SECRET, {
    algorithm: "HS256",
    issuer: ISS,
    ...(!("exp" in claims) && { expiresIn: "1h" }),
  });

const conduitWith = (getToken: () => string | Promise<string>) =>
  createConduit({ url: `${stack.proxyUrl}/${link.id}`, linkToken: link.token, getToken, autoRefresh: false });

describe("a call with a valid user token", () => {
  test("signed by jsonwebtoken reaches the upstream with the hidden key and the user's id, and neither token", async () => {
    const token = userToken();
    const response = await conduitWith(() => token).fetchWithAuth("/api/users/123/orders?page=2", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-User-ID": "456", "X-Api-Key": "mine" },
      body: '{"item":7}',
    });
    expect(response.status).toBe(200);
    const [seen] = upstream.requests;
    expect(seen?.method).toBe("POST");
    expect(seen?.target).toBe("/v1/api/users/123/orders?page=2");
    expect(seen?.header("X-Api-Key")).toEqual([UPSTREAM_KEY]);
    expect(seen?.header("X-User-ID")).toEqual(["123"]);
    expect(seen?.body.toString()).toBe('{"item":7}');
    const everything = JSON.stringify(seen?.headers);
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(link.token);
    expect(seen?.header("Authorization")).toEqual([]);
  });

  test("of a real OpenID provider, RS256 by its JWKS URL, reaches the upstream", async () => {
    const token = await providerToken();
    const response = await conduitWith(() => token).fetchWithAuth("/api/users/machine/jobs");
    expect(await response.text()).toBe('{"ok":true}');
    expect(upstream.requests[0]?.header("X-User-ID")).toEqual(["machine"]);
    expect(upstream.requests[0]?.header("X-Api-Key")).toEqual([UPSTREAM_KEY]);
  });

  test("minted by the control plane reaches the upstream", async () => {
    const { accessToken, tokenType, expiresIn } = await stack.control.mintToken({
      parent: PROJECT,
      subject: "auth0|42",
      links: [link.name],
      claims: { email: "mia@shop.example" },
    });
    expect([tokenType, expiresIn]).toEqual(["Bearer", 900]);
    const response = await conduitWith(() => accessToken).fetchWithAuth("/api/users/auth0%7C42/orders");
    expect(response.status).toBe(200);
    expect(upstream.requests[0]?.header("X-User-ID")).toEqual(["auth0|42"]);
  });

  test("never shows the upstream's key or a token in its answer", async () => {
    const token = userToken();
    const response = await conduitWith(() => token).fetchWithAuth("/api/users/123/orders");
    const answer = JSON.stringify([...response.headers]) + (await response.text());
    expect(answer).not.toContain(UPSTREAM_KEY);
    expect(answer).not.toContain(token);
  });
});

describe("a call that is refused does not reach the upstream:", () => {
  const refusals: Array<[what: string, path: string, token: () => string, status: number, code: string]> = [
    ["another user's path", "/api/users/456/orders", () => userToken(), 403, "rule_denied"],
    ["an expired token", "/api/users/123/orders", () => userToken({ exp: 1_700_000_000 }), 401, "token_expired"],
    [
      "a token without a required claim",
      "/api/users/123/orders",
      () => userToken({ email: undefined }),
      401,
      "token_claim_missing",
    ],
    [
      "a token of another issuer",
      "/api/users/123/orders",
      () => jwt.sign({ sub: "123" }, HMAC_SECRET, { issuer: "x" }),
      401,
      "token_issuer_unknown",
    ],
    [
      "a token signed with another secret",
      "/api/users/123/orders",
      () => jwt.sign({ sub: "123", email: "a", aud: AUDIENCE }, `${HMAC_SECRET}!`, { issuer: ISS, expiresIn: "1h" }),
      401,
      "token_signature_invalid",
    ],
    [
      "a token for another audience",
      "/api/users/123/orders",
      () => userToken({ aud: "other" }),
      401,
      "token_audience_mismatch",
    ],
    ["a method no rule names", "/catalogue/7", () => userToken(), 403, "rule_denied"],
  ];

  test.each(refusals)("%s", async (_what, path, token, status, code) => {
    const response = await fetch(`${stack.proxyUrl}/${link.id}${path}`, {
      method: "DELETE",
      headers: { "X-Access-Token": link.token, Authorization: `Bearer ${token()}` },
    });
    const problem = (await response.json()) as { code: string; status: number };
    expect([response.status, problem.status, problem.code]).toEqual([status, status, code]);
    expect(response.headers.get("x-conduit-error")).toBe(code);
    expect(upstream.requests).toEqual([]);
  });

  test("a wrong link token", async () => {
    const response = await fetch(`${stack.proxyUrl}/${link.id}/api/users/123/orders`, {
      headers: { "X-Access-Token": `${link.token}x`, Authorization: `Bearer ${userToken()}` },
    });
    expect([response.status, response.headers.get("x-conduit-error")]).toEqual([401, "link_token_invalid"]);
    expect(upstream.requests).toEqual([]);
  });
});

test("expiry in the middle of use refreshes once for 50 concurrent calls, and all of them succeed", async () => {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  let refreshes = 0;
  // The first token is one the proxy already finds expired, though the app was told otherwise.
  const conduit = createConduit({
    url: `${stack.proxyUrl}/${link.id}`,
    linkToken: link.token,
    autoRefresh: false,
    getToken: () => {
      refreshes += 1;
      return { token: userToken({ exp: refreshes === 1 ? nowSeconds - 5 : nowSeconds + 600 }), expiresIn: 600 };
    },
  });
  await conduit.tokens.getToken();
  const calls = Array.from({ length: 50 }, (_, item) => conduit.fetchWithAuth(`/api/users/123/items/${item}`));
  const statuses = (await Promise.all(calls)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(refreshes).toBe(2);
  expect(upstream.requests).toHaveLength(50);
});
