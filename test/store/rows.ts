// Rows for tests: complete, and different from call to call where they must be.
import { randomUUID } from "node:crypto";
import type { Link } from "../../server/src/model/link.ts";
import { hashToken } from "../../server/src/model/token-string.ts";
import type { Tx } from "../../server/src/store/database.ts";
import { insertProject } from "../../server/src/store/projects.ts";

export const TIME = new Date("2026-11-25T12:00:00.123Z");
const times = { createTime: TIME, updateTime: TIME };

/** A name that no other test has. */
export const unique = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;

export const uniqueHash = (): string => hashToken(randomUUID());

export async function makeProject(tx: Tx, id = unique("project")): Promise<string> {
  await insertProject(tx, { id, displayName: "A project", issuer: `https://conduit.example/p/${id}`, ...times });
  return id;
}

export const linkSpec = (changes: Partial<Omit<Link, "name">> = {}): Omit<Link, "name"> => ({
  displayName: "A link",
  upstream: {
    baseUrl: "https://api.example/v1",
    allowPrivate: false,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 120_000,
    idleTimeoutMs: 300_000,
  },
  injections: [],
  issuers: [],
  audiences: [],
  anyAudience: false,
  requireAllAudiences: false,
  requiredClaims: [],
  scopesAny: [],
  scopesAll: [],
  rules: [],
  claimHeaders: [],
  forwardUserToken: "OFF",
  limits: [],
  cors: { origins: [], headers: [], credentials: false },
  linkTokenMode: "REQUIRED",
  userTokenMode: "OFF",
  debug: "KEY",
  state: "ACTIVE",
  requestBodyMaxBytes: 10 * 1024 * 1024,
  allowAmbiguousPaths: false,
  sharedCache: false,
  sendForwarded: false,
  allowedRedirectOrigins: [],
  scanResponseBodies: false,
  allowWebsocket: false,
  ...changes,
});

export const linkRow = (project: string, id = unique("link"), changes: Partial<Omit<Link, "name">> = {}) => ({
  id,
  project,
  spec: linkSpec(changes),
  ...times,
});

export const linkTokenRow = (link: string, id = unique("token")) => ({
  link,
  id,
  tokenHash: uniqueHash(),
  displayName: "A token",
  allowedOrigins: ["https://app.example"],
  allowedAddresses: ["192.0.2.0/24"],
  expireTime: null,
  ...times,
});

export const secretRow = (project: string, id = unique("secret")) => ({
  project,
  id,
  displayName: "A secret",
  sealedValue: new Uint8Array([1, 2, 3, 255, 0]),
  valueVersion: 1,
  sealedNextValue: null,
  nextValueVersion: 0,
  fingerprint: "01234567",
  ...times,
});

export const issuerRow = (project: string, id = unique("issuer"), secret?: string) => ({
  project,
  id,
  spec: {
    displayName: "An issuer",
    iss: "https://issuer.example",
    keys:
      secret === undefined
        ? ({ kind: "jwks_url", url: "https://issuer.example/jwks" } as const)
        : ({ kind: "hs256", secret, encoding: "UTF8" } as const),
    algorithms: ["RS256"] as const,
    expLeewayMs: 5_000,
    clockLeewayMs: 60_000,
    acceptIdTokens: false,
    allowPrivate: false,
  },
  ...times,
});

export const signingKeyRow = (project: string, state: "ACTIVE" | "RETIRED" = "ACTIVE") => ({
  kid: unique("kid"),
  project,
  purpose: "TOKEN" as const,
  algorithm: "ES256" as const,
  publicJwk: { kty: "EC", crv: "P-256", x: "x", y: "y" },
  sealedPrivateJwk: new Uint8Array([9, 9]),
  state,
  createTime: TIME,
  activateTime: TIME,
  retireTime: null,
  scheduledActivateTime: null,
  publishedSequence: null,
});

export const apiKeyRow = (project: string | null, id = unique("key")) => ({
  keyHash: uniqueHash(),
  project,
  id,
  role: "editor" as const,
  displayName: "A key",
  hint: "cl_key_abcd",
  tokenLifetimeMaxMs: null,
  allowedAddresses: [],
  requestsPerMinute: null,
  previousKeyHash: null,
  previousExpireTime: null,
  lastUseTime: null,
  expireTime: null,
  ...times,
});

export const proxyRow = (id = unique("proxy")) => ({
  id,
  credentialHash: uniqueHash(),
  displayName: "A proxy",
  createTime: TIME,
});
