// promises.md S13: no encoding of a path leaves the base URL's path, and what is forwarded is what was judged.
import { describe, expect, test } from "vitest";
import { credentialLines, LINK_ID, type LinkChanges, rawExchange, startProxy, statusesOf } from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BASE = "/base/v1";

const DOTS = [
  ...[".", "..", "...", "%2e", "%2E", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "%25252e%25252e", "..;", "..;x=1"],
  ...["%2e%2e;", "..%3b", "..%3B.js", "..%00", "..%09", "..%0a", "..%0d", "%00..", "%c0%ae%c0%ae", "%e0%80%ae."],
  ...["%u002e%u002e", "%2", "%", "%zz", "%ff", "%ed%a0%80", "a..", "..a", ".a", "a.", "~", "%7e", "%20", "a%20b"],
];
const SEPARATORS = ["/", "\\", "//", "/./", "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "%c0%af", ";/", "%3b/"];
const AROUND: readonly (readonly [string, string])[] = [
  ["/a", "etc"],
  ["", "etc"],
  ["/a/b/c", ""],
];

const PATHS = AROUND.flatMap(([before, after]) =>
  SEPARATORS.flatMap((separator) =>
    DOTS.map((dots) => `${before}${separator}${dots}${separator}${dots}${separator}${dots}${separator}${after}`),
  ),
).map((path) => (path.startsWith("/") ? path : `/x${path}`));

/** What upstreams have been seen to make of a path: each step is some server's habit. */
function readingsOf(target: string): string[] {
  const decode = (text: string) =>
    text
      .replace(/%c0%ae/gi, ".")
      .replace(/%e0%80%ae/gi, ".")
      .replace(/%c0%af/gi, "/")
      .replace(/%u([0-9a-f]{4})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const once = decode(target);
  const decoded = [target, once, decode(once), decode(decode(once))];
  const slashed = decoded.flatMap((text) => [text, text.replaceAll("\\", "/")]);
  const bare = slashed.flatMap((text) => [text, text.replaceAll(/;[^/]*/g, ""), text.split("\0", 1)[0] ?? ""]);
  return bare.flatMap((text) => [text, text.replaceAll(/\/{2,}/g, "/")]);
}

/** RFC 3986 5.2.4. */
function resolved(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/").slice(1)) {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

const escapes = (target: string): boolean =>
  readingsOf(target).some((reading) => !`${resolved(reading)}/`.startsWith(`${BASE}/`));

/** Sends all paths; per path the statuses and what the upstream saw of it. */
async function outcomes(link: LinkChanges, paths: readonly string[]) {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const proxy = await startProxy({ baseUrl: `${upstream.url}${BASE}/`, link });
  const found: { path: string; status: number; target: string | undefined }[] = [];
  for (const path of paths) {
    const before = upstream.requests.length;
    const request = `GET /${LINK_ID}${path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}\r\n`;
    const answer = await rawExchange(proxy.port, Buffer.from(request, "latin1"));
    const target = upstream.requests[before]?.split(" ", 2)[1];
    found.push({ path, status: statusesOf(answer)[0] ?? 0, target });
  }
  return found;
}

describe(`S13: ${PATHS.length} encodings of ways upwards`, () => {
  test.each([
    ["strict", {}],
    ["with allow_ambiguous_paths", { allowAmbiguousPaths: true }],
  ] as const)(
    "%s: none leaves the base path; what is forwarded is what came, byte for byte",
    async (_what, link) => {
      const found = await outcomes(link, PATHS);
      expect(found.filter(({ status }) => status !== 200 && status !== 400)).toEqual([]);
      expect(found.filter(({ status, target }) => (status === 200) !== (target !== undefined))).toEqual([]);
      expect(found.filter(({ path, target }) => target !== undefined && target !== BASE + path)).toEqual([]);
      expect(found.filter(({ target }) => target !== undefined && escapes(target))).toEqual([]);
      expect(found.filter(({ status }) => status === 200).length).toBeGreaterThan(20);
    },
    60_000,
  );

  test("the oracle sees an escape when there is one", () => {
    const ways = ["/../x", "/%2e%2e/x", "/..%2f..%2fx", "/..;/x", "/%252e%252e/x", "/..\\x"];
    expect(ways.filter((path) => !escapes(BASE + path))).toEqual([]);
    expect(escapes(`${BASE}/a/b..c/%20`)).toBe(false);
  });
});

test("S13: queries pass byte for byte and never become a path", async () => {
  const queries = [
    "?",
    "??",
    "?a=b&&c",
    "?x=%2e%2e/..",
    "?/../../etc",
    "?a=%zz",
    "?%00",
    "?a=b?c=d",
    "?'\"<>",
    "?a\\b",
  ];
  const found = await outcomes(
    {},
    queries.map((query) => `/q${query}`),
  );
  expect(found.map(({ target }) => target)).toEqual(queries.map((query) => `${BASE}/q${query}`));
});

test("S13: only one segment stands where a template names a claim", async () => {
  const rule = { effect: "ALLOW" as const, methods: [], path: "/u/{jwt.sub}/*", query: {}, claims: [], message: "" };
  const mine = ["/u/user-1/a", "/u/user%2D1/a", "/u/%75ser-1/a/b"];
  const others = [
    "/u/user-2/a",
    "/u/user-1",
    "/u/user-1/",
    "/u//user-1/a",
    "/u/x/user-1/a",
    "/u/user-1%20/a",
    "/U/user-1/a",
  ];
  const ambiguous = [
    "/u/user-1%2fa/b",
    "/u/user-2/..%2fuser-1/a",
    "/u/user-1;x/a",
    "/u/user-1%00/a",
    "/u/user-1/../user-2/a",
  ];
  const found = await outcomes({ rules: [rule] }, [...mine, ...others, ...ambiguous]);
  const reached = found.filter(({ target }) => target !== undefined).map(({ path }) => path);
  expect(reached).toEqual(mine);
});
