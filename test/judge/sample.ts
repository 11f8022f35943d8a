// A link, its issuers and requests as the tests of policy, jwt and judge need them; each test says what it changes.
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import type { Clock } from "../../server/src/clock.ts";
import type { JudgedLink } from "../../server/src/judge/judged-link.ts";
import { compileLink } from "../../server/src/judge/judged-link.ts";
import type { JudgedRequest, WithApp } from "../../server/src/judge/judged-request.ts";
import { Refusal } from "../../server/src/judge/refusal.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { type IssuerParts, type TrustedIssuer, trustIssuer } from "../../server/src/jwt/trust.ts";
import { createLog } from "../../server/src/log.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import { LINK_DEFAULTS, type Link, type Rule } from "../../server/src/model/link.ts";
import type { LinkToken } from "../../server/src/model/link-token.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";

/** 2026-11-25T12:00:00Z */
export const NOW_MS = Date.UTC(2026, 10, 25, 12);
export const NOW_S = NOW_MS / 1000;

/** A clock that stands until it is moved. */
export function fakeClock(startMs = NOW_MS) {
  let now = startMs;
  let monotonic = 1000;
  const clock: Clock = { now: () => now, monotonic: () => monotonic };
  return {
    clock,
    advance(ms: number) {
      now += ms;
      monotonic += ms;
    },
    /** The wall clock jumps; the monotonic one does not notice. */
    jump(ms: number) {
      now += ms;
    },
  };
}

export const SECRET = "3q2+796tvu/erb7v3q2+796tvu/erb7v-sample";
export const ISS = "https://issuer.example/";

export const sampleIssuer = (change: Partial<Issuer> = {}): Issuer => ({
  name: "projects/p/issuers/main",
  displayName: "",
  iss: ISS,
  keys: { kind: "hs256", secret: "projects/p/secrets/hs", encoding: "UTF8" },
  algorithms: ["HS256"],
  expLeewayMs: 5_000,
  clockLeewayMs: 60_000,
  acceptIdTokens: false,
  allowPrivate: false,
  ...change,
});

export const allow = (path: string, change: Partial<Rule> = {}): Rule => ({
  effect: "ALLOW",
  methods: [],
  path,
  query: {},
  claims: [],
  message: "",
  ...change,
});

export const deny = (path: string, change: Partial<Rule> = {}): Rule => allow(path, { effect: "DENY", ...change });

export const sampleLink = (change: Partial<Link> = {}): Link => ({
  name: "projects/p/links/shop-abcd1234",
  displayName: "",
  upstream: {
    baseUrl: "https://api.example/v1",
    allowPrivate: false,
    connectTimeoutMs: LINK_DEFAULTS.connectTimeoutMs,
    firstByteTimeoutMs: LINK_DEFAULTS.firstByteTimeoutMs,
    idleTimeoutMs: LINK_DEFAULTS.idleTimeoutMs,
  },
  injections: [{ kind: "header", name: "X-Api-Key", prefix: "", secret: "projects/p/secrets/key" }],
  issuers: ["projects/p/issuers/main"],
  audiences: [],
  anyAudience: false,
  requireAllAudiences: false,
  requiredClaims: [],
  scopesAny: [],
  scopesAll: [],
  rules: [allow("/api/users/{jwt.sub}/**")],
  claimHeaders: [LINK_DEFAULTS.claimHeader],
  forwardUserToken: "OFF",
  limits: [LINK_DEFAULTS.limit],
  cors: { origins: [], headers: [], credentials: false },
  linkTokenMode: "REQUIRED",
  userTokenMode: "REQUIRED",
  debug: "KEY",
  state: "ACTIVE",
  requestBodyMaxBytes: LINK_DEFAULTS.requestBodyMaxBytes,
  allowAmbiguousPaths: false,
  sharedCache: false,
  sendForwarded: false,
  allowedRedirectOrigins: [],
  scanResponseBodies: false,
  allowWebsocket: false,
  ...change,
});

/** Sources whose issuers cannot be reached; a test that fetches brings its own. */
export const noSources = (clock: Clock): JwksSources =>
  new JwksSources({
    clock,
    log: createLog("json", "silent"),
    fetchJson: () => Promise.reject(new Error("no outbound connection was expected")),
  });

export const trust = (change: Partial<Issuer> = {}, parts: Partial<IssuerParts> = {}): TrustedIssuer =>
  trustIssuer({
    issuer: sampleIssuer(change),
    secret: { current: new SecretText(SECRET) },
    jwksSources: noSources(fakeClock().clock),
    ...parts,
  });

export function judged(
  change: Partial<Link> = {},
  issuers: readonly TrustedIssuer[] = [trust()],
  linkTokens: readonly LinkToken[] = [],
): JudgedLink {
  return compileLink({
    link: sampleLink({ issuers: issuers.map((it) => it.issuer.name), ...change }),
    linkTokens,
    issuers,
  });
}

export const sampleRequest = (change: Partial<JudgedRequest> = {}): JudgedRequest => ({
  method: "GET",
  path: "/api/users/42/orders",
  query: "",
  accessTokens: [],
  authorizations: [],
  origin: undefined,
  clientAddress: "192.0.2.7",
  cookies: [],
  fetchSites: [],
  ...change,
});

export const goodClaims = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  iss: ISS,
  sub: "42",
  iat: NOW_S - 10,
  exp: NOW_S + 900,
  ...change,
});

/** A token as `jsonwebtoken` and its like make it; `undefined` claims are left out. */
export const sign = (claims: Record<string, unknown>, header: Record<string, unknown> = {}, secret = SECRET) =>
  new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT", ...header }).sign(Buffer.from(secret));

const encode = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Header and payload texts as they stand, with a signature that cannot be right. */
export const forge = (header: unknown, payload: unknown, signature = "AAAA"): string =>
  `${encode(header)}.${encode(payload)}.${signature}`;

/** Stage 5 alone, for a request with this `Authorization`. */
export async function judgeToken(link: JudgedLink, token: string, clock = fakeClock().clock) {
  const routed = { link, request: sampleRequest({ authorizations: [`Bearer ${token}`] }) };
  return judgeUserToken({ ...routed, app: { linkToken: undefined } } satisfies WithApp & typeof routed, clock);
}

/** Code and texts of a refusal; fails when there is none. */
export function refusalOf(verdict: object): Refusal {
  if (verdict instanceof Refusal) return verdict;
  throw new Error("expected a refusal, the request was let through");
}

const rsaKeys = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const ecKeys = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const edKeys = () => generateKeyPairSync("ed25519");

/** A fresh key pair with its public JWK. */
export function keyPair(kind: "RSA" | "EC" | "OKP", kid?: string) {
  const { publicKey, privateKey } = { RSA: rsaKeys, EC: ecKeys, OKP: edKeys }[kind]();
  const jwk = { ...publicKey.export({ format: "jwk" }), ...(kid !== undefined && { kid }) };
  return { jwk, privateKey, publicKey };
}
