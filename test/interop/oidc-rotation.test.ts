// A real OpenID provider (oidc-provider) that changes its keys while traffic runs, and then dies. The proxy's clock is
// moved by the test, so that minutes of caching pass at once; everything else is real.
import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeProtectedHeader } from "jose";
import Provider from "oidc-provider";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../server/src/clock.ts";
import { DEFAULT_ALGORITHMS, type Issuer, LEEWAY_DEFAULTS } from "../../server/src/model/issuer.ts";
import { createFetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import { createResolver } from "../../server/src/outbound/resolver.ts";
import { linkOf, startProxy, type TestProxy } from "../proxy/harness.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";

const AUDIENCE = "https://api.example";
const MINUTE_MS = 60_000;

const keyOf = (kid: string): JsonWebKey => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
};
const [a, b, c, d] = ["a", "b", "c", "d"].map(keyOf) as [JsonWebKey, JsonWebKey, JsonWebKey, JsonWebKey];

let offsetMs = 0;
const clock: Clock = { now: () => Date.now() + offsetMs, monotonic: () => performance.now() + offsetMs };

let server: Server;
let issuerUrl: string;
let upstream: HttpServer;
let provider: Provider;
let keysRequests = 0;

/** The first key signs; all are published. */
function serveKeys(...keys: JsonWebKey[]): void {
  provider = new Provider(issuerUrl, {
    jwks: { keys: keys as never },
    clients: [
      {
        client_id: "app",
        client_secret: "an-app-that-keeps-its-secret-for-itself",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_post",
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({
          scope: "api",
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          accessTokenTTL: 7_200,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
}

async function token(): Promise<string> {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: "app",
    client_secret: "an-app-that-keeps-its-secret-for-itself",
  });
  const answer = await fetch(`${issuerUrl}/token`, { method: "POST", body });
  const json = (await answer.json()) as { access_token: string };
  return json.access_token;
}

let proxy: TestProxy;

async function call(userToken: string) {
  const answer = await proxy.call("/x", { headers: { authorization: `Bearer ${userToken}` } });
  await answer.arrayBuffer();
  return [answer.status, answer.headers.get("x-conduit-error")];
}

/** Time passes for the proxy; as every few seconds, keys that are due are fetched. */
async function pass(ms: number) {
  offsetMs += ms;
  proxy.jwksSources.refreshDue();
}

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/jwks") keysRequests += 1;
    void provider.callback()(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  issuerUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  upstream = await startHttpServer();
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await upstream[Symbol.asyncDispose]();
});

test("S19: rotation while traffic runs costs no valid token, a removed key dies, and so does an issuer, closed", async () => {
  serveKeys(a);
  const issuer: Issuer = {
    name: "projects/demo/issuers/op",
    displayName: "",
    iss: issuerUrl,
    keys: { kind: "oidc_discovery", url: issuerUrl },
    algorithms: DEFAULT_ALGORITHMS.oidc_discovery,
    ...LEEWAY_DEFAULTS,
    acceptIdTokens: false,
    allowPrivate: true,
  };
  proxy = await startProxy({
    baseUrl: upstream.url,
    clock,
    fetchJson: createFetchJson(createDialer(createResolver({ clock }))),
  });
  proxy.put(
    { kind: "issuer", name: issuer.name, issuer },
    {
      kind: "link",
      name: "projects/demo/links/by-oidc",
      link: {
        ...linkOf(upstream.url, { issuers: [issuer.name], audiences: [AUDIENCE], linkTokenMode: "OPTIONAL" }),
        name: "projects/demo/links/by-oidc",
      },
    },
  );
  const url = proxy.url.replace(/[^/]+$/, "by-oidc");
  proxy = {
    ...proxy,
    call: (path, init) => fetch(url + path, init),
  };

  // Traffic, all the time, each request with a fresh token.
  const outcomes: unknown[] = [];
  let isRunning = true;
  const traffic = (async () => {
    while (isRunning) outcomes.push(await call(await token()));
  })();
  onTestFinished(() => {
    isRunning = false;
  });
  await until("traffic", async () => outcomes.length > 3 || undefined);

  const byA = await token();
  expect(decodeProtectedHeader(byA).kid).toBe("a");

  // As a careful provider does it: published first, signing once everybody has it.
  serveKeys(a, b);
  await pass(11 * MINUTE_MS);
  await call(byA);
  await until("the new key", async () => proxy.jwksSources.status()[0]?.kids.includes("b") || undefined);
  serveKeys(b, a);
  await until("tokens by b", async () => decodeProtectedHeader(await token()).kid === "b" || undefined);
  // As a careless one does it: a key nobody has heard of signs at once.
  await pass(MINUTE_MS);
  serveKeys(c, b, a);
  const byC = await token();
  expect(decodeProtectedHeader(byC).kid).toBe("c");
  expect(await call(byC)).toEqual([200, null]);
  // Forged kids in a row are one more fetch at most.
  const before = keysRequests;
  const forgedKid = (at: number) =>
    byC.replace(/^[^.]+/, Buffer.from(`{"alg":"RS256","typ":"at+jwt","kid":"${at}"}`).toString("base64url"));
  for (let at = 0; at < 200; at += 1) expect(await call(forgedKid(at))).toEqual([401, "token_signature_invalid"]);
  expect(keysRequests - before).toBeLessThanOrEqual(1);

  // The first key is withdrawn: within the ten minutes that keys are kept its tokens are refused.
  serveKeys(c, b);
  await pass(10 * MINUTE_MS);
  await until("a refusal", async () => (await call(byA))[0] === 401 || undefined);
  expect(await call(byA)).toEqual([401, "token_signature_invalid"]);

  isRunning = false;
  await traffic;
  expect(outcomes.filter((one) => String(one) !== "200,")).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(10);

  // The provider dies. What is known serves; what is not known is nobody's fault but the provider's.
  const byKnown = await token();
  serveKeys(d);
  const byUnknown = await token();
  server.close();
  server.closeAllConnections();
  await pass(MINUTE_MS);
  expect(await call(byKnown)).toEqual([200, null]);
  expect(await call(byUnknown)).toEqual([503, "issuer_unreachable"]);
  expect(await call(byKnown)).toEqual([200, null]);
  // What reached the upstream was signed by keys that were good at the time.
  const seen = upstream.requests.length;
  await call(byUnknown);
  expect(upstream.requests).toHaveLength(seen);
}, 60_000);
