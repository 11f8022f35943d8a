// Withdrawn tokens: refused at the proxy as soon as the change reaches it, also after its restart without a control plane.
// And what a proxy apart asserts to the upstream, by a key that it has from the same stream.
import { assertionKeys, verifyAssertion } from "@conduit-link/sdk/server";
import { exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { beforeAll, expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type ApartStack, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const PROJECT = "projects/withdrawn";
const LINK = `${PROJECT}/links/withdrawn-api`;

let stack: ApartStack;
let upstream: HttpServer;

const call = (service: string, method: string, message: Record<string, unknown>) =>
  stack.control.call<Record<string, string>>(`conduit.v1.${service}`, method, message);
const mint = (subject: string) => stack.control.mintToken({ parent: PROJECT, subject, links: [LINK] });
const ask = (accessToken: string, port = stack.proxy.ports.proxy) =>
  fetch(`http://127.0.0.1:${port}/withdrawn-api/x`, { headers: { Authorization: `Bearer ${accessToken}` } });
const codeOf = async (accessToken: string) => (await ask(accessToken)).headers.get("x-conduit-error");

/** Until the proxy refuses a token; returns how many milliseconds it took. */
async function untilRefused(accessToken: string): Promise<number> {
  const startMs = performance.now();
  await until("the token is refused", async () => ((await ask(accessToken)).status === 401 ? true : undefined));
  return performance.now() - startMs;
}

beforeAll(async () => {
  [stack, upstream] = await Promise.all([startApart(), startHttpServer(() => ({ body: "served" }))]);
  await call("ProjectService", "CreateProject", { projectId: "withdrawn" });
  await call("LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: "withdrawn-api",
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      issuers: [`${PROJECT}/issuers/built-in`],
      linkTokenMode: "LINK_TOKEN_MODE_OFF",
      rules: [{ path: "/**" }],
      limits: [{ name: "per-user", requests: 100_000, burst: 10_000 }],
    },
  });
  const { accessToken } = await mint("first");
  await until("the link is served", async () => ((await ask(accessToken)).status === 200 ? true : undefined));
}, 120_000);

test("one token is refused by its id, the person's others go on", async () => {
  const [stolen, other] = [await mint("anna"), await mint("anna")];
  expect((await ask(stolen.accessToken)).status).toBe(200);
  await call("TokenService", "RevokeToken", { parent: PROJECT, tokenId: stolen.tokenId, reason: "stolen" });
  const tookMs = await untilRefused(stolen.accessToken);
  process.stdout.write(`revocation: refused ${tookMs.toFixed(1)} ms after the answer of RevokeToken\n`);
  const seen = upstream.requests.length;
  expect(await codeOf(stolen.accessToken)).toBe("token_revoked");
  expect(upstream.requests.length).toBe(seen);
  expect((await ask(other.accessToken)).status).toBe(200);
});

test("all tokens of a person are refused, and the next one is accepted at once", async () => {
  const before = await mint("bert");
  expect((await ask(before.accessToken)).status).toBe(200);
  await call("RevocationService", "CreateRevocation", {
    parent: PROJECT,
    revocation: { subject: { subject: "bert" }, reason: "password changed" },
  });
  const after = await mint("bert");
  await untilRefused(before.accessToken);
  expect(await codeOf(before.accessToken)).toBe("token_revoked");
  expect((await ask(after.accessToken)).status).toBe(200);
});

test("a session that is ended: its refresh token and its access token are refused", async () => {
  const session = await stack.control.mintToken({ parent: PROJECT, subject: "dora", links: [LINK], session: {} });
  const refresh = (refreshToken: string) =>
    fetch(`${stack.controlUrl}/conduit.v1.TokenService/RefreshToken`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refreshToken }),
    });
  const next = (await (await refresh(session.refreshToken ?? "")).json()) as Record<string, string>;
  const accessToken = next.accessToken ?? "";
  expect((await ask(accessToken)).status).toBe(200);
  await call("SessionService", "RevokeSession", { name: next.session, reason: "signed out" });
  const tookMs = await untilRefused(accessToken);
  process.stdout.write(`session: refused ${tookMs.toFixed(1)} ms after the answer of RevokeSession\n`);
  expect(await codeOf(accessToken)).toBe("token_revoked");
  expect(await codeOf(session.accessToken)).toBe("token_revoked");
  expect((await refresh(next.refreshToken ?? "")).status).toBe(401);
});

test("an identity provider's back-channel log-out: its token and the one exchanged for it are refused", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const issuer = { iss: "https://idp.example", staticKeys: await exportSPKI(publicKey), logoutClientIds: ["app"] };
  await call("IssuerService", "CreateIssuer", { parent: PROJECT, issuerId: "idp", issuer });
  const link = { name: LINK, issuers: [`${PROJECT}/issuers/built-in`, `${PROJECT}/issuers/idp`], audiences: ["api"] };
  await call("LinkService", "UpdateLink", { link, updateMask: "issuers,audiences" });
  const sign = (typ: string, claims: JWTPayload) =>
    new SignJWT({ iss: "https://idp.example", sub: "finn", ...claims })
      .setProtectedHeader({ alg: "ES256", typ })
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(privateKey);
  const subjectToken = await sign("at+jwt", { aud: "api", sid: "s-1" });
  const exchange = { parent: PROJECT, subjectToken, links: [LINK] };
  const { accessToken = "" } = await call("TokenService", "ExchangeToken", exchange);
  await until("both are accepted", async () => ((await ask(subjectToken)).status === 200 ? true : undefined));
  expect((await ask(accessToken)).status).toBe(200);
  const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const logoutToken = await sign("logout+jwt", { aud: "app", sid: "s-1", jti: "l-1", events });
  const body = new URLSearchParams({ logout_token: logoutToken });
  const url = `${stack.controlUrl}/p/withdrawn/issuers/idp/backchannel-logout`;
  expect((await fetch(url, { method: "POST", body })).status).toBe(200);
  await untilRefused(accessToken);
  expect([await codeOf(accessToken), await codeOf(subjectToken)]).toEqual(["token_revoked", "token_revoked"]);
});

test("a signing key that is revoked: what it signed is refused, and the next token is accepted at once", async () => {
  const before = await mint("emil");
  expect((await ask(before.accessToken)).status).toBe(200);
  const { signingKeys } = await stack.control.call<{ signingKeys: { name: string; state: string }[] }>(
    "conduit.v1.SigningKeyService",
    "ListSigningKeys",
    { parent: PROJECT },
  );
  const active = signingKeys.find(({ state }) => state === "SIGNING_KEY_STATE_ACTIVE");
  await call("SigningKeyService", "RevokeSigningKey", { name: active?.name, force: true, reason: "leaked" });
  const tookMs = await untilRefused(before.accessToken);
  process.stdout.write(`signing key: refused ${tookMs.toFixed(1)} ms after the answer of RevokeSigningKey\n`);
  expect((await ask((await mint("emil")).accessToken)).status).toBe(200);
});

/** What the upstream was told last, verified over the network by the issuer's key set. */
async function lastAssertion() {
  const { project } = await stack.control.call<{ project: { issuer: string } }>(
    "conduit.v1.ProjectService",
    "GetProject",
    { name: PROJECT },
  );
  const keys = assertionKeys({ issuer: project.issuer });
  const [assertion] = upstream.requests.at(-1)?.header("x-conduit-assertion") ?? [];
  return verifyAssertion(assertion, { issuer: project.issuer, keys, audience: upstream.url, link: LINK });
}

test("the upstream of a link with identity_assertion can verify who calls", async () => {
  const { accessToken } = await mint("frida");
  await call("LinkService", "UpdateLink", { link: { name: LINK, identityAssertion: true } });
  const asserted = await until("the proxy asserts", async () => {
    await ask(accessToken);
    return upstream.requests.at(-1)?.header("x-conduit-assertion").length === 1 ? lastAssertion() : undefined;
  });
  expect(asserted).toMatchObject({ sub: "frida", aud: upstream.url, link: LINK });
  expect(asserted.exp - asserted.iat).toBe(60);
  // It is for the upstream: the proxy takes it from nobody.
  const [assertion = ""] = upstream.requests.at(-1)?.header("x-conduit-assertion") ?? [];
  const seen = upstream.requests.length;
  expect((await ask(assertion)).status).toBe(401);
  expect(upstream.requests.length).toBe(seen);
});

test("a proxy that restarts while no control plane is there still refuses, and still asserts", async () => {
  const { accessToken, tokenId } = await mint("carl");
  await call("TokenService", "RevokeToken", { parent: PROJECT, tokenId });
  await untilRefused(accessToken);
  const fresh = await mint("carl");
  await stack.proxy.stop();
  await stack.server.stop("SIGKILL");
  const again = await startConduit("proxy", {
    dataDir: stack.proxy.dataDir,
    args: ["--host", "127.0.0.1", "--control", stack.grpcAddress],
  });
  const refused = await ask(accessToken, again.ports.proxy);
  expect([refused.status, refused.headers.get("x-conduit-error")]).toEqual([401, "token_revoked"]);
  expect((await ask(fresh.accessToken, again.ports.proxy)).status).toBe(200);
  expect(upstream.requests.at(-1)?.header("x-conduit-assertion")).toHaveLength(1);
});
