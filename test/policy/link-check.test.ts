import { describe, expect, test } from "vitest";
import type { Issuer } from "../../server/src/model/issuer.ts";
import type { Injection, Link } from "../../server/src/model/link.ts";
import { checkIssuer } from "../../server/src/policy/issuer-check.ts";
import { checkLink } from "../../server/src/policy/link-check.ts";
import { checkLinkToken } from "../../server/src/policy/link-token-check.ts";
import { allow, deny, sampleIssuer, sampleLink } from "../judge/sample.ts";

const KEY = "projects/p/secrets/key";
const header = (name: string, prefix = ""): Injection => ({ kind: "header", name, prefix, secret: KEY });
const bearer: Injection = { kind: "bearer", secret: KEY };
const basic = (name: string): Injection => ({ kind: "basic", name, secret: KEY });
const upstream = (baseUrl: string) => ({ upstream: { ...sampleLink().upstream, baseUrl } });
const jwks = sampleIssuer({ keys: { kind: "jwks_url", url: "https://issuer.example/jwks" }, algorithms: ["RS256"] });

const fieldsOf = (change: Partial<Link>, issuers: readonly Issuer[] = [sampleIssuer()]) =>
  checkLink(sampleLink({ issuers: issuers.map(({ name }) => name), ...change }), { issuers }).map(({ field }) => field);

const claimHeader = (name: string, claim = "sub") =>
  ({ claim, fallbackClaims: [], header: name, ifMissing: "OMIT" }) as const;

describe("links", () => {
  test.each<[string, Partial<Link>, (readonly Issuer[])?]>([
    ["the sample", {}],
    ["http to loopback", upstream("http://127.0.0.1:9000/api/")],
    ["IPv6 loopback", upstream("http://[::1]:9000")],
    ["app only", { issuers: [], userTokenMode: "OFF" }, []],
    ["user only", { linkTokenMode: "OFF" }],
    ["audience named", { audiences: ["api"] }, [jwks]],
    ["audience waived", { anyAudience: true }, [jwks]],
    ["ambiguous paths without templates", { allowAmbiguousPaths: true, rules: [allow("/files/**"), allow("/a;b")] }],
    ["bearer, user token in its own header", { injections: [bearer], forwardUserToken: "X-User-Token" }],
    ["user token in Authorization", { forwardUserToken: "AUTHORIZATION" }],
    [
      "app shells' origins",
      { cors: { origins: ["capacitor://localhost", "https://a.example:8443"], headers: [], credentials: true } },
    ],
  ])("%s is fine", (_name, change, issuers) => {
    expect(fieldsOf(change, issuers)).toEqual([]);
  });

  test.each<[string, Partial<Link>, (readonly Issuer[])?]>([
    ...[
      ...[
        "http://api.example",
        "ftp://api.example",
        "https://u:p@api.example",
        "https://api.example/?a=1",
        "https://api.example/#x",
      ],
      ...[
        "https://api.example/a/../b",
        "https://api.example//a",
        "https:/api.example",
        "https://",
        "//api.example",
        "https://a b/",
      ],
      ...[
        "https://api.example\\@evil.example",
        "https://api.example/a%2fb",
        " https://api.example",
        "http://127.0.0.1.evil.example",
      ],
    ].map((url): [string, Partial<Link>] => ["link.upstream.base_url", upstream(url)]),
    ["link.link_token_mode", { linkTokenMode: "OPTIONAL", userTokenMode: "OPTIONAL" }],
    ["link.link_token_mode", { linkTokenMode: "OFF", userTokenMode: "OFF" }],
    ["link.user_token_mode", { userTokenMode: "REQUIRED", issuers: [] }, []],
    ["link.issuers[0]", { issuers: ["projects/p/issuers/gone"] }, []],
    ["link.issuers", {}, [sampleIssuer({ iss: "" }), sampleIssuer({ iss: "", name: "projects/p/issuers/b" })]],
    ["link.audiences", {}, [jwks]],
    ["link.any_audience", { anyAudience: true, audiences: ["a"] }],
    ["link.required_claims[0].path", { requiredClaims: [{ path: "a b", test: "present", present: true }] }],
    ["link.rules[1].path", { rules: [allow("/a"), allow("/{sub}/x")] }],
    ["link.rules[0].path", { rules: [allow("/a;b")] }],
    ["link.rules[0].methods", { rules: [allow("/a", { methods: ["GET", "TRACE"] })] }],
    [
      "link.rules[0].claims[0].path",
      { rules: [allow("/a", { claims: [{ path: "", test: "present", present: true }] })] },
    ],
    ["link.allow_ambiguous_paths", { allowAmbiguousPaths: true, rules: [allow("/{jwt.sub}")] }],
    ["link.allow_ambiguous_paths", { allowAmbiguousPaths: true, rules: [allow("/**"), deny("/admin")] }],
    ...[
      "Host",
      "content-length",
      "Transfer_Encoding",
      "Proxy-Authorization",
      "Connection",
      "a b",
      "",
      "X-Conduit-X",
      "via",
      "x:y",
    ].map((name): [string, Partial<Link>] => ["link.injections[0].name", { injections: [header(name)] }]),
    ["link.injections[0].prefix", { injections: [header("X-Key", "a\r\nb: ")] }],
    ["link.injections[1].name", { injections: [header("X-Key"), header("x_key")] }],
    ["link.injections[1]", { injections: [header("Authorization"), bearer] }],
    ["link.injections[0].name", { injections: [basic("a:b")] }],
    ["link.injections[0].name", { injections: [{ kind: "query", name: "", secret: KEY }] }],
    ["link.forward_user_token", { injections: [bearer], forwardUserToken: "AUTHORIZATION" }],
    ["link.forward_user_token", { injections: [basic("u")], forwardUserToken: "authorization" }],
    ["link.forward_user_token", { injections: [header("authorization")], forwardUserToken: "AUTHORIZATION" }],
    ["link.forward_user_token", { forwardUserToken: "X-User-ID" }],
    ["link.forward_user_token", { forwardUserToken: "Host" }],
    ["link.claim_headers[0].header", { claimHeaders: [claimHeader("X-Api-Key")] }],
    ["link.claim_headers[0].header", { claimHeaders: [claimHeader("Authorization")] }],
    ["link.claim_headers[1].header", { claimHeaders: [claimHeader("X-User-ID"), claimHeader("x_user_id")] }],
    ["link.claim_headers[0].claim", { claimHeaders: [claimHeader("X-User-ID", "a b")] }],
    ["link.limits[0].key", { limits: [{ ...sampleLink().limits[0]!, key: "jwt." }] }],
    ["link.limits[0].burst", { limits: [{ ...sampleLink().limits[0]!, burst: 0 }] }],
    ["link.limits[1].name", { limits: [sampleLink().limits[0]!, sampleLink().limits[0]!] }],
    ...[
      "*",
      "null",
      "https://a.example/",
      "https://A.example",
      "https://a.example:443",
      "a.example",
      "https://a.example/x",
    ].map((origin): [string, Partial<Link>] => [
      "link.cors.origins[0]",
      { cors: { origins: [origin], headers: [], credentials: false } },
    ]),
    ["link.cors.credentials", { cors: { origins: [], headers: [], credentials: true } }],
    ["link.allowed_redirect_origins[0]", { allowedRedirectOrigins: ["https://a.example/x"] }],
    ["link.max_config_age", { maxConfigAgeMs: 29_000 }],
    ["link.max_config_age", { maxConfigAgeMs: 60_500 }],
  ])("%s is named: %j", (field, change, issuers) => {
    expect(fieldsOf(change, issuers)).toEqual([field]);
  });

  test("every wrong field is named at once, and no text carries a value", () => {
    const violations = checkLink(
      sampleLink({ ...upstream("https://u:hunter2@x.example"), rules: [allow("x-hunter2")] }),
      {
        issuers: [sampleIssuer()],
      },
    );
    expect(violations.map(({ field }) => field)).toEqual(["link.upstream.base_url", "link.rules[0].path"]);
    expect(JSON.stringify(violations)).not.toContain("hunter2");
  });
});

describe("issuers", () => {
  const check = (change: Partial<Issuer>) => checkIssuer(sampleIssuer(change)).map(({ field }) => field);
  const url = (text: string) => ({ keys: { kind: "jwks_url", url: text }, algorithms: ["RS256"] }) as const;

  test.each<[string, Partial<Issuer>]>([
    ["issuer.jwks_url", url("http://issuer.example/jwks")],
    ["issuer.jwks_url", url("https://u@issuer.example/jwks")],
    ["issuer.jwks_url", url("file:///etc/passwd")],
    ["issuer.algorithms", { algorithms: ["RS256"] }],
    ["issuer.algorithms", { algorithms: [] }],
    ["issuer.algorithms", { ...url("https://issuer.example/jwks"), algorithms: ["RS256", "HS256"] }],
    ["issuer.algorithms", { keys: { kind: "built_in" }, algorithms: ["PS256"] }],
    ["issuer.max_token_age", { maxAgeWithoutExpMs: 0 }],
  ])("%s is named: %j", (field, change) => {
    expect(check(change)).toEqual([field]);
  });

  test.each<Partial<Issuer>>([
    {},
    url("https://issuer.example/jwks?v=1"),
    url("http://localhost:9000/jwks"),
    { maxAgeWithoutExpMs: 1000 },
  ])("%j is fine", (change) => {
    expect(check(change)).toEqual([]);
  });
});

test("link tokens: origins and addresses are named", () => {
  const token = { name: "n", displayName: "", tokenHash: "" };
  const allowedOrigins = ["https://a.example", "https://a.example/"];
  const allowedAddresses = [
    "192.0.2.0/24",
    "2001:db8::/32",
    "::1",
    "192.0.2.0/33",
    "127.1",
    "x",
    "1.2.3.4/8/8",
    "1.2.3.4/",
  ];
  expect(checkLinkToken({ ...token, allowedOrigins, allowedAddresses }).map(({ field }) => field)).toEqual([
    "link_token.allowed_origins[1]",
    ...[3, 4, 5, 6, 7].map((at) => `link_token.allowed_addresses[${at}]`),
  ]);
});
