import { create } from "@bufbuild/protobuf";
import { ResourceKind } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { LinkSchema } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { describe, expect, it } from "vitest";
import type { ConfigResource } from "../../server/src/model/config-resource.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import { IDENTITY_HEADERS, LINK_DEFAULTS, type Link } from "../../server/src/model/link.ts";
import {
  decodeConfigResource,
  encodeConfigResource,
  kindFromProto,
  kindToProto,
} from "../../server/src/wire/config.ts";
import { linkFromProto, withNewLinkDefaults } from "../../server/src/wire/link.ts";

const link: Link = {
  name: "projects/demo/links/weather-1",
  displayName: "Weather",
  upstream: {
    baseUrl: "https://api.example/v1",
    allowPrivate: true,
    connectTimeoutMs: 1_500,
    firstByteTimeoutMs: 2_000,
    idleTimeoutMs: 3_000,
    totalTimeoutMs: 4_250,
  },
  injections: [
    { kind: "header", name: "X-Api-Key", prefix: "Key ", secret: "projects/demo/secrets/a" },
    { kind: "query", name: "key", secret: "projects/demo/secrets/b" },
    { kind: "basic", name: "user", secret: "projects/demo/secrets/c" },
    { kind: "bearer", secret: "projects/demo/secrets/d" },
  ],
  issuers: ["projects/demo/issuers/x"],
  audiences: ["aud"],
  anyAudience: true,
  requireAllAudiences: true,
  userTokenCookie: "sid",
  userTokenQuery: "access_token",
  requiredClaims: [
    { path: "email", test: "present", present: true },
    { path: "banned", test: "present", present: false },
    { path: "tier", test: "one_of", values: ["a", "b"] },
    { path: "roles", test: "contains", value: "admin" },
    { path: "empty", test: "equals", value: "" },
  ],
  scopesAny: ["a"],
  scopesAll: ["b"],
  rules: [
    { effect: "DENY", methods: ["GET"], path: "/x/*", query: { zz: "1", a: "2" }, claims: [], message: "no" },
    { effect: "ALLOW", methods: [], path: "/**", query: {}, claims: [], message: "" },
    {
      ...{ effect: "ALLOW", methods: [], path: "/me/**", query: {}, claims: [], message: "" },
      rewrite: { prefix: "/me", replacement: "/users/{jwt.sub}" },
    },
  ],
  claimHeaders: IDENTITY_HEADERS,
  forwardUserToken: "X-Token",
  limits: [{ name: "n", key: "jwt.sub", requests: 7, windowMs: 90_000, burst: 3 }],
  cors: { origins: ["https://app.example"], headers: ["x-a"], credentials: true },
  linkTokenMode: "OPTIONAL",
  userTokenMode: "REQUIRED",
  debug: "ON",
  state: "DISABLED",
  requestBodyMaxBytes: 5,
  allowAmbiguousPaths: true,
  sharedCache: true,
  sendForwarded: true,
  allowedRedirectOrigins: ["https://b.example"],
  scanResponseBodies: true,
  allowWebsocket: true,
  maxConfigAgeMs: 90_000,
};
const hs256: Issuer = {
  name: "projects/demo/issuers/x",
  displayName: "X",
  iss: "https://x.example",
  keys: { kind: "hs256", secret: "projects/demo/secrets/a", encoding: "BASE64" },
  algorithms: ["HS256"],
  maxAgeWithoutExpMs: 60_000,
  expLeewayMs: 0,
  clockLeewayMs: 1_000,
  acceptIdTokens: true,
  allowPrivate: true,
};
const resources: ConfigResource[] = [
  { kind: "link", name: link.name, link },
  {
    ...{ kind: "link", name: "projects/demo/links/debugged", link: { ...link, name: "projects/demo/links/debugged" } },
    debugKeys: [{ keyHash: "cd".repeat(32), expireTimeMs: 1_800_000_000_000 }],
  },
  { kind: "issuer", name: hs256.name, issuer: hs256 },
  {
    ...{ kind: "issuer", name: "projects/demo/issuers/oidc" },
    issuer: {
      ...{ ...hs256, name: "projects/demo/issuers/oidc", algorithms: ["ES512", "PS384"] },
      keys: { kind: "oidc_discovery", url: "https://x.example" },
      maxLifetimeMs: 3_600_000,
      acceptedTypes: ["at+jwt"],
      audienceClaim: "client_id",
      caCertificates: "-----BEGIN CERTIFICATE-----",
      keysRefreshTimeMs: 1_800_000_000_001,
    },
  },
  {
    ...{ kind: "issuer", name: "projects/demo/issuers/static" },
    issuer: {
      ...{ ...hs256, name: "projects/demo/issuers/static", algorithms: ["RS256"] },
      keys: { kind: "static_keys", text: "-----BEGIN PUBLIC KEY-----" },
    },
  },
  {
    kind: "issuer",
    name: "projects/demo/issuers/built-in",
    issuer: { ...hs256, name: "projects/demo/issuers/built-in", keys: { kind: "built_in" }, algorithms: ["ES256"] },
    jwks: '{"keys":[]}',
  },
  {
    kind: "link_token",
    name: `${link.name}/tokens/t`,
    linkToken: {
      name: `${link.name}/tokens/t`,
      displayName: "T",
      tokenHash: "ab".repeat(32),
      allowedOrigins: ["https://app.example"],
      allowedAddresses: ["192.0.2.0/24"],
      expireTimeMs: 1_800_000_000_000,
    },
  },
  {
    ...{ kind: "assertion_key", name: "projects/demo/assertionKey", iss: "https://c.example/p/demo", kid: "k" },
    ...{ algorithm: "Ed25519", sealedPrivateJwk: new Uint8Array([3]) },
  },
  { kind: "link", name: link.name, link: { ...link, identityAssertion: true } },
  { kind: "secret", name: "projects/demo/secrets/a", sealedValue: new Uint8Array([1, 2]) },
  {
    kind: "secret",
    name: "projects/demo/secrets/b",
    sealedValue: new Uint8Array([1]),
    sealedNextValue: new Uint8Array([2]),
  },
];

describe("payloads of the config stream", () => {
  it.each(resources)("carry a $kind ($name) without loss, twice in the same bytes", (resource) => {
    const payload = encodeConfigResource(resource);
    expect(decodeConfigResource(resource.kind, payload)).toEqual(resource);
    expect(encodeConfigResource(decodeConfigResource(resource.kind, payload))).toEqual(payload);
  });

  it("do not depend on the order in which a database returns the members of an object", () => {
    const reordered = { ...link, rules: link.rules.map((rule) => ({ ...rule, query: reverse(rule.query) })) };
    const [a, b] = [link, reordered].map((one) => encodeConfigResource({ kind: "link", name: link.name, link: one }));
    expect(a).toEqual(b);
  });

  it("number every kind, and leave a newer version's kind undefined", () => {
    for (const { kind } of resources) expect(kindFromProto(kindToProto(kind))).toBe(kind);
    expect(kindFromProto(ResourceKind.UNSPECIFIED)).toBeUndefined();
    expect(kindFromProto(99 as ResourceKind)).toBeUndefined();
  });

  it("are refused when they are not a payload", () => {
    for (const bytes of [new Uint8Array([255]), new Uint8Array()])
      expect(() => decodeConfigResource("link", bytes)).toThrow(ConduitError);
  });
});

describe("a link from its message", () => {
  it("has the defaults of contract.md 2, 5 and 8", () => {
    const made = withNewLinkDefaults(linkFromProto(create(LinkSchema, { upstream: { baseUrl: "https://a.example" } })));
    expect(made).toMatchObject({
      linkTokenMode: "REQUIRED",
      userTokenMode: "OFF",
      debug: "KEY",
      forwardUserToken: "OFF",
      requestBodyMaxBytes: 10 * 1024 * 1024,
      claimHeaders: [{ claim: "sub", header: "X-User-ID" }],
      limits: [{ name: "per-user", requests: 60, windowMs: 60_000, burst: 20 }],
      upstream: { connectTimeoutMs: 5_000, firstByteTimeoutMs: 120_000, idleTimeoutMs: 300_000 },
    });
    expect(made.upstream.totalTimeoutMs).toBeUndefined();
    expect(LINK_DEFAULTS.limit).toEqual(made.limits[0]);
  });

  it("requires a user token when it names an issuer", () => {
    expect(linkFromProto(create(LinkSchema, { issuers: ["projects/p/issuers/i"] })).userTokenMode).toBe("REQUIRED");
  });

  it("keeps an emptied list empty", () => {
    expect(linkFromProto(create(LinkSchema, {}))).toMatchObject({ limits: [], claimHeaders: [], rules: [] });
  });

  it("refuses an enum value of a newer version instead of taking the default", () => {
    expect(() => linkFromProto(create(LinkSchema, { linkTokenMode: 9 as never }))).toThrow("link_token_mode");
  });
});

const reverse = <T>(object: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(object).reverse());
