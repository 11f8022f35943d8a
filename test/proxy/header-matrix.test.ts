// promises.md S15: every spelling of every name that only the proxy may send; scored on the bytes the upstream received.
import { describe, expect, test } from "vitest";
import { HIDDEN_KEY, LINK_ID, LINK_TOKEN, type LinkChanges, rawExchange, startProxy, userToken } from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** contract.md 5, and the link's own: an injected header and two mapped claims. */
const NEVER_ARRIVE = [
  ...["X-Access-Token", "X-Debug-JWT", "X-Conduit-Error", "X-Conduit-Anything", "Cookie", "Cookie2"],
  ...["Proxy-Authorization", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Anything"],
  ...["X-User-ID", "X-User-Roles", "X-User-Scopes", "X-User-Email", "X-User-", "X-Tenant-ID", "X-Tenant-Anything"],
  ...["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-User"],
  ...["X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Client-Cert", "X-Forwarded-Anything"],
  ...["X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP"],
  ...[
    "X-Request-ID",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
  ],
  ...["X-API-Key", "X-Org-Name", "X-Jwt-Copy"],
];

/** They look alike and are the app's own business. */
const ARRIVE = [
  ...["X-Username", "XUser-ID", "User-ID", "X-Users-ID", "Tenant-ID", "X-Api-Keys", "API-Key", "X-Forward-For"],
  ...["Authorizations", "X-Authorization", "Cookies", "X-Cookie", "Real-IP", "Request-ID", "X-Requested-With"],
];

/** Ways to write one name; those that are no token of RFC 9110 are refused as a whole elsewhere. */
const SPELLINGS: readonly (readonly [how: string, spell: (name: string) => string])[] = [
  ["as written", (name) => name],
  ["lower", (name) => name.toLowerCase()],
  ["upper", (name) => name.toUpperCase()],
  ["alternating", (name) => [...name].map((c, at) => (at % 2 ? c.toUpperCase() : c.toLowerCase())).join("")],
  ["underscores", (name) => name.replaceAll("-", "_")],
  ["lower underscores", (name) => name.toLowerCase().replaceAll("-", "_")],
  ["first mark", (name) => name.replace("-", "_")],
  ["last mark", (name) => name.replace(/-([^-]*)$/, "_$1")],
  ["dots", (name) => name.replaceAll("-", ".")],
  ["mixed marks", (name) => name.replace("-", ".").replace("-", "_")],
];

const LINK: LinkChanges = {
  // Then the client's own Authorization can stand in the matrix in every spelling too.
  userTokenMode: "OFF",
  issuers: [],
  claimHeaders: [{ claim: "org", fallbackClaims: [], header: "X-Org-Name", ifMissing: "OMIT" }],
  forwardUserToken: "X-Jwt-Copy",
};

const SPELT = ["Authorization", ...NEVER_ARRIVE].flatMap((name) => {
  const spelt = SPELLINGS.map(([, spell]) => spell(name));
  // This one is read: a second value beside the valid one refuses the request.
  return [...new Set(spelt)].filter((text) => text.toLowerCase() !== "x-access-token");
});

/** A head holds 200 lines. */
function batches<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));
}

async function arrived(link: LinkChanges, requests: readonly string[]): Promise<string[]> {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const proxy = await startProxy({ baseUrl: upstream.url, link });
  for (const request of requests) {
    const answer = await rawExchange(proxy.port, Buffer.from(request, "latin1"));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  }
  expect(upstream.requests).toHaveLength(requests.length);
  return upstream.packets;
}

const head = (lines: string, method = "GET"): string =>
  `${method} /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nX-Access-Token: ${LINK_TOKEN}\r\n${lines}\r\n`;
const linesOf = (names: readonly string[], value: (name: string, at: number) => string): string =>
  names.map((name, at) => `${name}: ${value(name, at)}\r\n`).join("");

describe("S15: identity, credential and forwarding headers of the client never arrive", () => {
  test(`${SPELT.length} spellings, once and twice`, async () => {
    const once = batches(SPELT, 150).map((names) => head(linesOf(names, (_name, at) => `forged-${at}`)));
    const twice = batches(SPELT, 75).map((names) => head(linesOf([...names, ...names], () => "forged")));
    const seen = (await arrived(LINK, [...once, ...twice])).join("");
    expect(seen).not.toContain("forged");
    expect(seen.match(/^X-API-Key: .*$/gim)).toEqual(
      Array(once.length + twice.length).fill(`X-API-Key: ${HIDDEN_KEY}`),
    );
  });

  test.each([
    ["bytes above ASCII", "forged-\xe9\xff"],
    ["an empty value", ""],
    ["a very long value", `forged-${"a".repeat(100)}`],
    ["something like a header", "forged: X-User-ID: 1"],
  ])("with %s", async (_what, value) => {
    const requests = batches(SPELT, 150).map((names) => head(linesOf(names, () => value)));
    const seen = (await arrived(LINK, requests)).join("");
    expect(seen).not.toContain("forged");
    const names = [...seen.matchAll(/^([^:\r\n]+): /gm)].map(([, name]) => name?.toLowerCase());
    const own = ["x-api-key", "x-request-id", "host", "connection", "via"];
    expect(names.filter((name) => !own.includes(name ?? ""))).toEqual([]);
  });

  test("as trailers of a chunked body", async () => {
    const requests = batches(SPELT, 150).map(
      (names) =>
        `${head("Transfer-Encoding: chunked\r\nTrailer: X-User-ID\r\n", "POST")}2\r\nhi\r\n0\r\n${linesOf(names, () => "forged")}\r\n`,
    );
    expect((await arrived(LINK, requests)).join("")).not.toContain("forged");
  });

  test("Connection removes nothing that the proxy adds, in any spelling, and what it lists goes", async () => {
    const link: LinkChanges = {
      claimHeaders: [{ claim: "sub", fallbackClaims: [], header: "X-User-ID", ifMissing: "DENY" }],
    };
    const lists = ["X-User-ID", "x_user_id", "X-API-KEY", "x-api-key, x-user-id", "Via, X-Request-ID, Host", "x-mine"];
    const requests = lists.map((list) =>
      head(`Connection: ${list}\r\nX-Mine: 1\r\nAuthorization: Bearer ${userToken()}\r\n`),
    );
    const seen = await arrived(link, requests);
    for (const request of seen) {
      expect(request).toContain("X-User-ID: user-1\r\n");
      expect(request).toContain(`X-API-Key: ${HIDDEN_KEY}\r\n`);
      expect(request).toMatch(/^X-Request-ID: /m);
      expect(request).toMatch(/^Via: 1\.1 conduit-/m);
    }
    expect(seen.map((request) => request.includes("X-Mine"))).toEqual([true, true, true, true, true, false]);
  });

  test("names that only look alike arrive as they were written", async () => {
    const names = ARRIVE.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()]);
    const [seen = ""] = await arrived(LINK, [head(linesOf(names, (_name, at) => `own-${at}`))]);
    for (const [at, name] of names.entries()) expect(seen).toContain(`\r\n${name}: own-${at}\r\n`);
  });
});
