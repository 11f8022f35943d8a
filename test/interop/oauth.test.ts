// The OAuth endpoints of a running `conduit dev`, over HTTP, by clients nobody here wrote: what they get is sent through
// the proxy, and is refused there once they have revoked it.
import { createHmac } from "node:crypto";
import { createControlClient } from "@conduit-link/sdk/server";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { beforeAll, describe, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import type { DevFile } from "../support/conduit-process.ts";
import { until } from "../support/until.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPES = "urn:ietf:params:oauth:token-type:";
const CLIENT_ID = "interop";

let dev: DevFile;
let secret: string;
beforeAll(async () => {
  dev = (await startConduit("dev")).dev;
  const control = createControlClient({ url: dev.control_url, apiKey: dev.api_key });
  const request = { parent: dev.project, apiKeyId: CLIENT_ID, apiKey: { role: "ROLE_MINTER" } };
  const { apiKey } = (await control.call("conduit.v1.ApiKeyService", "CreateApiKey", request)) as {
    apiKey: { key: string };
  };
  secret = apiKey.key;
}, 90_000);

/** A user's token as the app's own back end signs it. */
function appToken(subject: string): string {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: dev.iss, sub: subject, email: "a@b.example", iat: now, exp: now + 600 };
  const head = [{ alg: "HS256", typ: "JWT" }, payload].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const signature = createHmac("sha256", dev.hs256_secret).update(head.join(".")).digest("base64url");
  return [...head, signature].join(".");
}

async function statusAtProxy(token: string, subject: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, "x-access-token": dev.link_token };
  return (await fetch(`${dev.proxy_url}/${dev.link_id}/api/users/${subject}/orders`, { headers })).status;
}

/** Waits until the proxy has heard that the token counts no more. */
const refusedAtProxy = (token: string, subject: string) =>
  until("the token is refused", async () => ((await statusAtProxy(token, subject)) === 401 ? true : undefined));

const exchangeOf = (subject: string) => ({
  subject_token: appToken(subject),
  subject_token_type: `${TYPES}jwt`,
  audience: dev.link_id,
});

describe("oauth4webapi", () => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const client: oauth.Client = { client_id: CLIENT_ID };

  test("exchanges a user's token for one that the proxy accepts, and revokes it", async () => {
    const issuer = new URL(dev.built_in_iss);
    const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
    const as = await oauth.processDiscoveryResponse(issuer, found);
    const authentication = oauth.ClientSecretBasic(secret);
    const parameters = exchangeOf("oauth4webapi");
    const sent = await oauth.genericTokenEndpointRequest(as, client, authentication, EXCHANGE, parameters, insecure);
    const { access_token: token } = await oauth.processGenericTokenEndpointResponse(as, client, sent);
    const keys = createRemoteJWKSet(new URL(as.jwks_uri ?? ""));
    const { payload } = await jwtVerify(token, keys, { issuer: dev.built_in_iss, audience: dev.link, typ: "at+jwt" });
    expect(payload).toMatchObject({ sub: "oauth4webapi", email: "a@b.example", act: { sub: CLIENT_ID } });
    expect(await statusAtProxy(token, "oauth4webapi")).toBe(200);
    expect(await statusAtProxy(token, "someone-else")).toBe(403);

    const revoked = await oauth.revocationRequest(as, client, authentication, token, insecure);
    await oauth.processRevocationResponse(revoked);
    await refusedAtProxy(token, "oauth4webapi");
    const asked = await oauth.introspectionRequest(as, client, authentication, token, insecure);
    expect(await oauth.processIntrospectionResponse(as, client, asked)).toEqual({ active: false });
  });
});

describe("openid-client", () => {
  test("discovers, gets a machine's token, exchanges, introspects and revokes", async () => {
    const execute = [openid.allowInsecureRequests];
    const issuer = new URL(dev.built_in_iss);
    const config = await openid.discovery(issuer, CLIENT_ID, secret, openid.ClientSecretPost(secret), { execute });
    const machine = await openid.clientCredentialsGrant(config, { resource: dev.link, scope: "read" });
    expect(machine).toMatchObject({ token_type: "bearer", expires_in: 900, scope: "read" });
    const exchanged = await openid.genericGrantRequest(config, EXCHANGE, exchangeOf("openid-client"));
    expect(await statusAtProxy(exchanged.access_token, "openid-client")).toBe(200);
    const told = await openid.tokenIntrospection(config, exchanged.access_token);
    expect(told).toMatchObject({ active: true, sub: "openid-client", client_id: CLIENT_ID, aud: [dev.link] });
    await openid.tokenRevocation(config, exchanged.access_token);
    expect(await openid.tokenIntrospection(config, exchanged.access_token)).toEqual({ active: false });
    await refusedAtProxy(exchanged.access_token, "openid-client");
  });

  test("is told in its own terms what is wrong", async () => {
    const execute = [openid.allowInsecureRequests];
    const issuer = new URL(dev.built_in_iss);
    const config = await openid.discovery(issuer, CLIENT_ID, secret, openid.ClientSecretPost(secret), { execute });
    const refusal = (call: Promise<unknown>) => call.catch((error: unknown) => error);
    expect(await refusal(openid.clientCredentialsGrant(config, { resource: "nothing" }))).toMatchObject({
      ...{ error: "invalid_target", status: 400 },
    });
    const forged = { ...exchangeOf("x"), subject_token: `${appToken("x").slice(0, -4)}AAAA` };
    expect(await refusal(openid.genericGrantRequest(config, EXCHANGE, forged))).toMatchObject({
      ...{ error: "invalid_request", status: 400 },
    });
  });
});
