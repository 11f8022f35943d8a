// contract.md 6 and 7: every refusal that can be provoked here, its status, code, texts and header fields, by GET and by HEAD;
// and nothing reaches the upstream that was refused before it.
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode } from "../../server/src/model/errors.ts";
import { type Answer, startHttpServer } from "../support/http-server.ts";
import {
  ISSUER,
  LINK_ID,
  LINK_NAME,
  LINK_TOKEN,
  linkTokenOf,
  type ProxyOptions,
  rawExchange,
  startProxy,
  userToken,
} from "./harness.ts";

const EXPOSED = "X-Conduit-Error, X-Request-ID, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate";
const USER = `Bearer realm="${LINK_ID}", error="invalid_token"`;
const APP = `Bearer realm="${LINK_ID}/app"`;
const GOOD = { "X-Access-Token": LINK_TOKEN, Authorization: `Bearer ${userToken()}` };

interface Row {
  readonly code: ErrorCode;
  /** Default: `/<link-id>/x`. */
  readonly target?: string;
  /** Replace the good credentials; "" = without. */
  readonly headers?: Record<string, string>;
  /** Further header lines. */
  readonly lines?: readonly string[];
  readonly options?: Partial<ProxyOptions>;
  readonly upstream?: Answer;
  readonly challenge?: string;
  readonly detail?: string | RegExp;
  readonly retryAfter?: string;
  /** The upstream was asked: its answer is what is refused. */
  readonly isAsked?: true;
  readonly method?: "TRACE";
}

const token = (claims: object, options = {}) => ({ Authorization: `Bearer ${userToken({ ...claims }, options)}` });

const ROWS: readonly Row[] = [
  { code: "bad_request", lines: ["Host: another.example"], detail: /exactly one Host/ },
  { code: "path_ambiguous", target: `/${LINK_ID}/a/..%2fb` },
  { code: "token_ambiguous", lines: [`Authorization: Bearer ${userToken({ sub: "other" })}`] },
  {
    code: "link_token_missing",
    headers: { "X-Access-Token": "" },
    challenge: APP,
    detail: "Missing access token: send the link's token in the X-Access-Token header",
  },
  {
    code: "link_token_invalid",
    headers: { "X-Access-Token": "cl_pub_x" },
    challenge: `${APP}, error="invalid_token"`,
  },
  {
    code: "link_token_invalid",
    options: { tokens: [linkTokenOf(LINK_TOKEN, { expireTimeMs: 1 })] },
    challenge: `${APP}, error="invalid_token"`,
  },
  { code: "token_missing", headers: { Authorization: "" }, challenge: `Bearer realm="${LINK_ID}"` },
  { code: "token_malformed", headers: { Authorization: "Bearer nonsense" }, challenge: USER },
  { code: "token_malformed", headers: { Authorization: "Basic dTpw" }, challenge: USER },
  { code: "token_algorithm_refused", headers: token({}, { algorithm: "HS384" }), challenge: USER },
  {
    code: "token_signature_invalid",
    headers: { Authorization: `Bearer ${userToken().slice(0, -3)}AAA` },
    challenge: USER,
  },
  { code: "token_expired", headers: token({}, { expiresIn: -60 }), challenge: USER },
  { code: "token_not_yet_valid", headers: token({}, { notBefore: 600 }), challenge: USER },
  { code: "token_issuer_unknown", headers: token({ iss: "https://other.example" }), challenge: USER },
  { code: "token_audience_mismatch", options: { link: { audiences: ["api"] } }, challenge: USER },
  {
    code: "token_type_mismatch",
    headers: token({ nonce: "n" }),
    challenge: USER,
    detail: "This is an ID token; send the access token",
  },
  {
    code: "token_claim_missing",
    options: { link: { requiredClaims: [{ path: "email", test: "present", present: true }] } },
    challenge: USER,
    detail: "Missing required claim: email",
  },
  {
    code: "token_claim_invalid",
    options: { link: { requiredClaims: [{ path: "sub", test: "equals", value: "someone" }] } },
    challenge: USER,
    detail: "Invalid claim: sub",
  },
  { code: "rule_denied", options: { link: { rules: [] } } },
  {
    code: "insufficient_scope",
    options: { link: { scopesAll: ["read:all"] } },
    challenge: `Bearer realm="${LINK_ID}", error="insufficient_scope", scope="read:all"`,
  },
  {
    code: "origin_denied",
    options: {
      tokens: [
        linkTokenOf(LINK_TOKEN, { allowedOrigins: ["https://app.example"] }),
        linkTokenOf("cl_pub_other", { name: `${LINK_NAME}/tokens/other` }),
      ],
    },
  },
  { code: "address_denied", options: { tokens: [linkTokenOf(LINK_TOKEN, { allowedAddresses: ["192.0.2.0/24"] })] } },
  { code: "link_disabled", options: { link: { state: "DISABLED" } } },
  { code: "link_unknown", target: "/no-such-link/x" },
  { code: "link_unknown", target: `/${LINK_ID}/.conduit/x` },
  { code: "link_unknown", target: "/" },
  { code: "body_too_large", lines: ["Content-Length: 11"], options: { link: { requestBodyMaxBytes: 10 } } },
  { code: "target_too_long", target: `/${LINK_ID}/${"x".repeat(9000)}` },
  { code: "head_too_large", lines: Array.from({ length: 200 }, (_, at) => `X-${at}: 1`) },
  {
    code: "rate_limited",
    options: {
      link: {
        limits: [{ name: "l", key: "jwt.sub", requests: 1, windowMs: 60_000, burst: 1 }],
        rules: [{ effect: "ALLOW", methods: [], path: "/**", query: {}, claims: [], message: "" }],
      },
    },
    retryAfter: "60",
  },
  { code: "not_supported", method: "TRACE" },
  { code: "not_supported", lines: ["Transfer-Encoding: gzip"] },
  { code: "upstream_unreachable", options: { baseUrl: "http://127.0.0.1:9" } },
  { code: "upstream_address_refused", options: { link: { upstream: { allowPrivate: false } } } },
  {
    code: "upstream_redirect_refused",
    upstream: { status: 302, headers: { Location: "https://evil.example/" } },
    isAsked: true,
  },
  { code: "loop_detected", lines: ["Via: 1.1 conduit-0123abcd"] },
  { code: "not_ready", options: { isReady: false }, retryAfter: "1" },
];

interface RawAnswer {
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

function parse(answer: string): RawAnswer {
  const [head = "", ...body] = answer.split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const fields = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 2),
  ]);
  return {
    status: Number(statusLine.split(" ")[1]),
    fields: new Map(fields as [string, string][]),
    body: body.join("\r\n\r\n"),
  };
}

async function ask(port: number, method: string, { target = `/${LINK_ID}/x`, headers, lines = [] }: Row) {
  const credentials = Object.entries({ ...GOOD, ...headers }).filter(([, value]) => value !== "");
  const head = [
    `${method} ${target} HTTP/1.1`,
    "Host: proxy.example",
    "Connection: close",
    ...credentials.map(([name, value]) => `${name}: ${value}`),
    ...lines,
  ];
  return parse(await rawExchange(port, `${head.join("\r\n")}\r\n\r\n`));
}

function expectRefusal(row: Row, { status, fields, body }: RawAnswer, isHead: boolean) {
  const { http, title, detail } = ERRORS[row.code];
  expect([status, fields.get("x-conduit-error")]).toEqual([http, row.code]);
  expect(fields.get("content-type")).toBe("application/problem+json");
  expect(fields.get("cache-control")).toBe("no-store");
  expect(fields.get("www-authenticate")).toBe(row.challenge);
  expect(fields.get("retry-after")).toBe(row.retryAfter);
  expect(fields.get("access-control-allow-origin")).toBe("*");
  expect(fields.get("access-control-expose-headers")).toBe(EXPOSED);
  expect(Number(fields.get("content-length"))).toBeGreaterThan(100);
  if (isHead) return expect(body).toBe("");
  const problem = JSON.parse(body) as Record<string, unknown>;
  expect(problem).toEqual({
    type: `https://conduit.link/errors/${row.code}`,
    ...{ title, status: http, code: row.code, request_id: fields.get("x-request-id") },
    detail:
      typeof row.detail === "string" ? row.detail : row.detail ? expect.stringMatching(row.detail) : expect.any(String),
  });
  if (row.detail === undefined && !/^(?:token_malformed|not_|upstream_|bad_|link_unknown)/.test(row.code))
    expect(problem.detail).toBe(detail);
}

describe("a refusal says what contract.md 7 says", () => {
  test.each(ROWS.map((row, at) => [`${row.code} (${at})`, row] as const))("%s", async (_name, row) => {
    await using upstream = await startHttpServer(() => row.upstream ?? {});
    for (const method of row.method === undefined ? ["GET", "HEAD"] : [row.method]) {
      const proxy = await startProxy({ baseUrl: upstream.url, ...row.options });
      // The first takes what the limit has.
      if (row.code === "rate_limited") await ask(proxy.port, method, row);
      upstream.clear();
      expectRefusal(row, await ask(proxy.port, method, row), method === "HEAD");
      expect(upstream.requests.length).toBe(row.isAsked ? 1 : 0);
    }
  });
});

test("issuer_unreachable: keys that were never fetched refuse with Retry-After, and nothing arrives", async () => {
  await using upstream = await startHttpServer();
  const link = { anyAudience: true };
  const proxy = await startProxy({ baseUrl: upstream.url, link });
  const keys = { kind: "jwks_url", url: "https://issuer.example/jwks" } as const;
  proxy.put({ kind: "issuer", name: ISSUER.name, issuer: { ...ISSUER, keys, algorithms: ["RS256"] } });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const authorization = `Bearer ${part({ alg: "RS256" })}.${part({ iss: ISSUER.iss, exp: 4e9 })}.AAAA`;
  const answer = await proxy.call("/x", { headers: { authorization } });
  const { headers } = answer;
  expect([answer.status, headers.get("x-conduit-error"), headers.get("retry-after")]).toEqual([
    503,
    "issuer_unreachable",
    "5",
  ]);
  expect(upstream.requests).toEqual([]);
});

describe("CORS of refusals before a link's own stages", () => {
  const origins = ["https://app.example"];
  const call = async (path: string, origin: string, init: RequestInit = {}) => {
    const proxy = await startProxy({
      baseUrl: "http://127.0.0.1:9",
      link: { state: "DISABLED", cors: { origins, headers: ["X-Own"], credentials: true } },
    });
    return fetch(`http://127.0.0.1:${proxy.port}${path}`, { ...init, headers: { origin, ...init.headers } });
  };
  const shown = ({ headers }: Response) => [
    headers.get("access-control-allow-origin"),
    headers.get("access-control-allow-credentials"),
  ];

  test("of a link that is off are the link's: its origins read them, others do not", async () => {
    const mine = await call(`/${LINK_ID}/x`, "https://app.example");
    expect([mine.headers.get("x-conduit-error"), ...shown(mine)]).toEqual([
      "link_disabled",
      "https://app.example",
      "true",
    ]);
    expect(shown(await call(`/${LINK_ID}/x`, "https://evil.example"))).toEqual([null, null]);
  });

  test("preflights of links that are off or unknown are answered 204", async () => {
    const preflight = { method: "OPTIONS", headers: { "access-control-request-method": "PUT" } };
    const off = await call(`/${LINK_ID}/x`, "https://app.example", preflight);
    expect([off.status, ...shown(off)]).toEqual([204, "https://app.example", "true"]);
    expect(off.headers.get("access-control-allow-headers")).toContain("x-own");
    const unknown = await call("/no-such-link/x", "https://evil.example", preflight);
    expect([unknown.status, ...shown(unknown)]).toEqual([204, "*", null]);
  });
});
