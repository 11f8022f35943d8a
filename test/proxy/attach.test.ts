// promises.md S13, S15, S16: what the upstream received is what counts.
import { describe, expect, test } from "vitest";
import type { ClaimHeader, Injection } from "../../server/src/model/link.ts";
import { claimHeaderValue } from "../../server/src/proxy/claim-header-value.ts";
import { type RecordedRequest, startHttpServer } from "../support/http-server.ts";
import {
  credentialLines,
  HIDDEN_KEY,
  INSTALLATION_ID,
  LINK_ID,
  LINK_TOKEN,
  type LinkChanges,
  linkTokenOf,
  rawExchange,
  startProxy,
  statusesOf,
  userToken,
} from "./harness.ts";

/** Sends header lines through a link and returns what arrived. */
async function forwarded(lines: string, link: LinkChanges = {}, claims: Record<string, unknown> = {}) {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, link });
  const credentials = credentialLines(userToken(claims));
  const head = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\n${credentials}${lines}\r\n`;
  const answer = await rawExchange(proxy.port, head);
  return { status: statusesOf(answer)[0], seen: upstream.requests[0] };
}

const valuesOf = (seen: RecordedRequest | undefined) => JSON.stringify(seen?.headers.map(([, value]) => value));

const CLIENT_NEVER_SENDS = [
  ...[
    "Authorization",
    "Proxy-Authorization",
    "Proxy-Connection",
    "X-Access-Token",
    "X-Debug-JWT",
    "X-Conduit-Anything",
  ],
  ...["X-User-ID", "X-User-Roles", "X-User-Anything", "X-Tenant-ID", "Cookie", "Forwarded", "X-Forwarded-For"],
  ...["X-Forwarded-Host", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Request-ID", "X-HTTP-Method-Override"],
  ...["X-Method-Override", "X-Original-URL", "X-API-Key", "Keep-Alive", "TE", "Trailer", "HTTP2-Settings"],
];

describe("S15: a client's own copy never passes", () => {
  const spellings: readonly (readonly [string, (name: string) => string])[] = [
    ["as written", (name) => name],
    ["in lower case", (name) => name.toLowerCase()],
    ["in upper case", (name) => name.toUpperCase()],
    ["with underscores", (name) => name.replaceAll("-", "_")],
    ["with mixed marks", (name) => name.replace("-", "_")],
  ];
  test.each(spellings)("%s, twice, also when the claim is absent", async (_how, spell) => {
    const names = CLIENT_NEVER_SENDS.map(spell).filter(
      (name) => name.toLowerCase() !== "authorization" || name.includes("_"),
    );
    const lines = names
      .flatMap((name) => [`${name}: forged\r\n`, `${name}: forged\r\n`])
      .filter((line) => !/^(x.access.token)/i.test(line));
    const claimHeaders: ClaimHeader[] = [
      { claim: "absent", fallbackClaims: [], header: "X-User-ID", ifMissing: "OMIT" },
    ];
    const { status, seen } = await forwarded(lines.join(""), { claimHeaders });
    expect(status).toBe(200);
    expect(valuesOf(seen)).not.toContain("forged");
    expect(seen?.header("x-api-key")).toEqual([HIDDEN_KEY]);
    expect(seen?.header("x-user-id")).toEqual([]);
  });

  test("under a name that the link maps or forwards the token by", async () => {
    const claimHeaders: ClaimHeader[] = [{ claim: "absent", fallbackClaims: [], header: "X-Plan", ifMissing: "OMIT" }];
    const lines = "x_plan: forged\r\nX-PLAN: forged\r\nX_User_Jwt: forged\r\nX-Jwt-Copy: forged\r\n";
    const { seen } = await forwarded(lines, { claimHeaders, forwardUserToken: "X-Jwt-Copy" });
    expect(valuesOf(seen)).not.toContain("forged");
    expect(seen?.header("x-jwt-copy")).toHaveLength(1);
  });
});

test("S15: Connection cannot remove what the proxy adds, and what it lists goes", async () => {
  const { seen } = await forwarded("Connection: X-User-ID, x_api_key, X-Mine\r\nX-Mine: 1\r\nX-Yours: 2\r\n");
  expect(seen?.header("x-user-id")).toEqual(["user-1"]);
  expect(seen?.header("x-api-key")).toEqual([HIDDEN_KEY]);
  expect(seen?.header("x-mine")).toEqual([]);
  expect(seen?.header("x-yours")).toEqual(["2"]);
});

test("other headers pass as they are, repeated ones in order", async () => {
  const { seen } = await forwarded(
    'Accept: a/b\r\nX-Multi: 1\r\nx-multi: 2\r\nIf-None-Match: "e"\r\nX-Latin: caf\xe9\r\n',
  );
  expect(seen?.header("accept")).toEqual(["a/b"]);
  expect(seen?.header("x-multi")).toEqual(["1", "2"]);
  expect(seen?.header("if-none-match")).toEqual(['"e"']);
});

test("S15: trailers of a request never arrive", async () => {
  await using upstream = await startHttpServer(({ body }, { request }) => ({
    body: { trailers: request.rawTrailers, length: body.length },
  }));
  const proxy = await startProxy({ baseUrl: upstream.url });
  const head = `POST /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}Transfer-Encoding: chunked\r\n\r\n`;
  const answer = await rawExchange(proxy.port, `${head}2\r\nhi\r\n0\r\nX-User-ID: forged\r\n\r\n`);
  expect(answer).toContain('{"trailers":[],"length":2}');
});

describe("the credential", () => {
  const secret = "projects/demo/secrets/key";
  test("as a query parameter goes behind the client's query, byte for byte", async () => {
    await using upstream = await startHttpServer();
    const link: LinkChanges = { injections: [{ kind: "query", name: "api key", secret }] };
    const proxy = await startProxy({ baseUrl: `${upstream.url}/base`, link, hiddenKey: "a&b=c d/é" });
    await proxy.call("/x?q=%7e&r=a+b");
    await proxy.call("/y");
    expect(upstream.requests.map(({ target }) => target)).toEqual([
      "/base/x?q=%7e&r=a+b&api%20key=a%26b%3Dc%20d%2F%C3%A9",
      "/base/y?api%20key=a%26b%3Dc%20d%2F%C3%A9",
    ]);
  });

  test.each(["api_key=1", "a=b&api%5Fkey=1", "api_key", "%61pi_key="])(
    "%s beside an injected api_key is refused",
    async (query) => {
      await using upstream = await startHttpServer();
      const proxy = await startProxy({
        baseUrl: upstream.url,
        link: { injections: [{ kind: "query", name: "api_key", secret }] },
      });
      const answer = await proxy.call(`/x?${query}`);
      expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([400, "bad_request"]);
      expect(upstream.requests).toEqual([]);
    },
  );

  test("as basic and as bearer", async () => {
    const basic = await forwarded("", { injections: [{ kind: "basic", name: "user", secret }] });
    const pair = Buffer.from(`user:${HIDDEN_KEY}`).toString("base64");
    expect(basic.seen?.header("authorization")).toEqual([`Basic ${pair}`]);
    const bearer = await forwarded("", { injections: [{ kind: "bearer", secret }] });
    expect(bearer.seen?.header("authorization")).toEqual([`Bearer ${HIDDEN_KEY}`]);
    const prefixed = await forwarded("", {
      injections: [{ kind: "header", name: "Authorization", prefix: "ApiKey ", secret }],
    });
    expect(prefixed.seen?.header("authorization")).toEqual([`ApiKey ${HIDDEN_KEY}`]);
  });
});

test("several credentials go at once, each to its place, in their order", async () => {
  await using upstream = await startHttpServer();
  const secret = "projects/demo/secrets/key";
  const injections: Injection[] = [
    { kind: "header", name: "X-First", prefix: "Key ", secret },
    { kind: "query", name: "k1", secret },
    { kind: "bearer", secret },
    { kind: "query", name: "k2", secret },
    { kind: "header", name: "X-Second", prefix: "", secret },
  ];
  const proxy = await startProxy({ baseUrl: upstream.url, link: { injections, forwardUserToken: "X-Jwt" } });
  await proxy.call("/x?a=b", { headers: { "x-first": "forged", x_second: "forged", "x-jwt": "forged" } });
  const [seen] = upstream.requests;
  expect(seen?.target).toBe(`/x?a=b&k1=${HIDDEN_KEY}&k2=${HIDDEN_KEY}`);
  expect(seen?.header("x-first")).toEqual([`Key ${HIDDEN_KEY}`]);
  expect(seen?.header("x-second")).toEqual([HIDDEN_KEY]);
  expect(seen?.header("authorization")).toEqual([`Bearer ${HIDDEN_KEY}`]);
  expect(seen?.header("x-jwt")).toEqual([expect.stringMatching(/^ey/)]);
  expect(valuesOf(seen)).not.toContain("forged");
});

test("the user's token is forwarded only where the link says so", async () => {
  const plain = await forwarded("", { forwardUserToken: "AUTHORIZATION" });
  expect(plain.seen?.header("authorization")[0]).toMatch(/^Bearer ey/);
  const named = await forwarded("", { forwardUserToken: "X-Jwt" });
  expect(named.seen?.header("x-jwt")[0]).toMatch(/^ey/);
  expect(named.seen?.header("authorization")).toEqual([]);
  const off = await forwarded("", { forwardUserToken: "OFF" });
  expect(valuesOf(off.seen)).not.toMatch(/ey[\w-]+\.ey/);
});

test("with JWT verification off the client's Authorization is stripped all the same", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({
    baseUrl: upstream.url,
    link: { userTokenMode: "OFF", issuers: [], claimHeaders: [] },
  });
  const answer = await proxy.call("/x", { headers: { authorization: "Bearer whatever" } });
  expect(answer.status).toBe(200);
  expect(upstream.requests[0]?.header("authorization")).toEqual([]);
});

test("a request that has passed this installation before is refused with 508", async () => {
  const { status, seen } = await forwarded(`Via: 1.1 other, 1.1 conduit-${INSTALLATION_ID.slice(0, 8)}\r\n`);
  expect([status, seen]).toEqual([508, undefined]);
  const other = await forwarded("Via: 1.1 conduit-ffffffff\r\n");
  expect(other.seen?.header("via")).toEqual(["1.1 conduit-ffffffff", `1.1 conduit-${INSTALLATION_ID.slice(0, 8)}`]);
});

describe("claims as headers", () => {
  const claimHeaders: ClaimHeader[] = [
    { claim: "sub", fallbackClaims: [], header: "X-User-ID", ifMissing: "OMIT" },
    { claim: "roles", fallbackClaims: ["role"], header: "X-User-Roles", ifMissing: "OMIT" },
    { claim: "tenantId", fallbackClaims: ["tenant_id", "org_id"], header: "X-Tenant-ID", ifMissing: "DENY" },
  ];

  test("lists are joined, fallbacks tried in order", async () => {
    const { seen } = await forwarded("", { claimHeaders }, { roles: ["admin", "editor"], org_id: 7 });
    expect(seen?.header("x-user-roles")).toEqual(["admin, editor"]);
    expect(seen?.header("x-tenant-id")).toEqual(["7"]);
  });

  test.each([
    ["a claim that must be there and is not", {}, "token_claim_missing"],
    ["an element with a comma", { roles: ["a,b"], tenantId: "t" }, "token_claim_invalid"],
    ["a line break", { role: "a\r\nX-Admin: 1", tenantId: "t" }, "token_claim_invalid"],
  ])("%s refuses, and nothing arrives", async (_what, claims, code) => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, link: { claimHeaders } });
    const answer = await proxy.call("/x", { headers: { authorization: `Bearer ${userToken(claims)}` } });
    expect([answer.status, answer.headers.get("x-conduit-error")]).toEqual([401, code]);
    expect(upstream.requests).toEqual([]);
  });

  test.each([
    ["plain text stays", "Ann Lee", "Ann Lee"],
    ["percent signs", "100%", "100%25"],
    ["UTF-8", "Zoë", "Zo%C3%AB"],
    ["outer spaces", " a ", "%20a%20"],
    ["a tab", "a\tb", "a%09b"],
    ["a number", 42.5, "42.5"],
    ["a boolean", true, "true"],
    ["an object", { a: "é" }, '{"a":"%C3%A9"}'],
    ["a mixed list", [1, "a"], '[1,"a"]'],
    ["an empty list", [], ""],
  ])("%s", (_what, claim, value) => {
    expect(claimHeaderValue(claim)).toEqual({ value });
  });
});

test("the client's address: the peer, or behind a trusted proxy the rightmost entry that is not trusted", async () => {
  await using upstream = await startHttpServer();
  const link: LinkChanges = { sendForwarded: true };
  const lines = { "x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.7" };
  const plain = await startProxy({ baseUrl: upstream.url, link });
  await plain.call("/x", { headers: lines });
  const behind = await startProxy({ baseUrl: upstream.url, link, trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] });
  await behind.call("/x", { headers: lines });
  await behind.call("/x", { headers: { "x-forwarded-for": "2001:db8::1" } });
  await behind.call("/x", { headers: { "x-forwarded-for": "nonsense" } });
  expect(upstream.requests.map((request) => /for=([^;]+);/.exec(request.header("forwarded")[0] ?? "")?.[1])).toEqual([
    "127.0.0.1",
    "203.0.113.9",
    '"[2001:db8::1]"',
    "127.0.0.1",
  ]);
});

test("a link token bound to networks is judged by that address", async () => {
  await using upstream = await startHttpServer();
  const tokens = [linkTokenOf(LINK_TOKEN, { allowedAddresses: ["203.0.113.0/24"] })];
  const proxy = await startProxy({ baseUrl: upstream.url, tokens, trustedProxies: ["127.0.0.1"] });
  const from = async (address: string) => (await proxy.call("/x", { headers: { "x-forwarded-for": address } })).status;
  expect([await from("203.0.113.5"), await from("198.51.100.1")]).toEqual([200, 403]);
});
