// The configuration that is measured: one link with everything that P1 names switched on.
import { DEFAULT_ALGORITHMS, type Issuer, LEEWAY_DEFAULTS } from "../../server/src/model/issuer.ts";
import { IDENTITY_HEADERS, LINK_DEFAULTS, type Link } from "../../server/src/model/link.ts";
import type { LinkToken } from "../../server/src/model/link-token.ts";
import { hashToken } from "../../server/src/model/token-string.ts";
import { BENCH } from "./workload.ts";

const PROJECT = "projects/bench";
export const SECRET_NAME = `${PROJECT}/secrets/key`;
const ISSUER_NAME = `${PROJECT}/issuers/rs256`;
const LINK_NAME = `${PROJECT}/links/${BENCH.linkId}`;

export const benchIssuer = (jwksUrl: string): Issuer => ({
  name: ISSUER_NAME,
  displayName: "",
  iss: BENCH.issuer,
  keys: { kind: "jwks_url", url: jwksUrl },
  algorithms: DEFAULT_ALGORITHMS.jwks_url,
  ...LEEWAY_DEFAULTS,
  acceptIdTokens: false,
  allowPrivate: true,
});

export const benchLink = (baseUrl: string): Link => ({
  name: LINK_NAME,
  displayName: "",
  upstream: {
    baseUrl,
    allowPrivate: true,
    connectTimeoutMs: LINK_DEFAULTS.connectTimeoutMs,
    firstByteTimeoutMs: LINK_DEFAULTS.firstByteTimeoutMs,
    idleTimeoutMs: LINK_DEFAULTS.idleTimeoutMs,
  },
  injections: [{ kind: "header", name: "X-Api-Key", prefix: "", secret: SECRET_NAME }],
  issuers: [ISSUER_NAME],
  audiences: [BENCH.audience],
  anyAudience: false,
  requireAllAudiences: false,
  requiredClaims: [{ path: "email", test: "present", present: true }],
  scopesAny: [],
  scopesAll: ["orders:read"],
  rules: [{ effect: "ALLOW", methods: ["GET"], path: "/api/users/{jwt.sub}/*", query: {}, claims: [], message: "" }],
  claimHeaders: IDENTITY_HEADERS,
  forwardUserToken: "OFF",
  // High enough never to refuse: the cost of the decision is what counts.
  limits: [{ ...LINK_DEFAULTS.limit, requests: 100_000_000, burst: 1_000_000 }],
  cors: { origins: [], headers: [], credentials: false },
  linkTokenMode: "REQUIRED",
  userTokenMode: "REQUIRED",
  debug: "OFF",
  state: "ACTIVE",
  requestBodyMaxBytes: LINK_DEFAULTS.requestBodyMaxBytes,
  allowAmbiguousPaths: false,
  sharedCache: false,
  sendForwarded: false,
  allowedRedirectOrigins: [],
  scanResponseBodies: false,
  allowWebsocket: false,
});

export const benchLinkToken = (text: string): LinkToken => ({
  name: `${LINK_NAME}/tokens/web`,
  displayName: "",
  tokenHash: hashToken(text),
  allowedOrigins: [],
  allowedAddresses: [],
});
