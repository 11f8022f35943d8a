// Where users' tokens get their keys from: what the API takes, refuses, and shows of it.
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { ReportConfigStatusRequestSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keyPair } from "../judge/sample.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";
import {
  type ControlPlane,
  failureOf,
  PLAIN_LINK,
  START_MS,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
const parent = "projects/demo";
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

const issuers = (credential = project.keys.editor) => plane.client(IssuerService, credential);
const jwksUrl = { keys: { case: "jwksUrl" as const, value: "https://id.example/jwks" } };
const discovery = (value = "https://id.example/") => ({ keys: { case: "oidcDiscovery" as const, value } });
const staticKeys = (value: string) => ({ keys: { case: "staticKeys" as const, value } });
const hs256 = (secret: string) => ({ keys: { case: "hs256" as const, value: { secret } } });
const seconds = (count: number) => ({ seconds: BigInt(count) });
const { publicKey, privateKey } = keyPair("EC");
const PUBLIC_PEM = publicKey.export({ type: "spki", format: "pem" }).toString();
const PRIVATE_PEM = privateKey.export({ type: "pkcs8", format: "pem" }).toString();

describe("keys by discovery", () => {
  it("make the issuer's URL its iss", async () => {
    const { issuer } = await issuers().createIssuer({ parent, issuer: discovery() });
    expect(issuer).toMatchObject({ iss: "https://id.example/", ...discovery() });
    const moved = await issuers().updateIssuer({
      issuer: { name: issuer!.name, ...discovery("https://id2.example") },
    });
    expect(moved.issuer!.iss).toBe("https://id2.example");
  });

  it.each([
    ["issuer.iss", { ...discovery(), iss: "https://other.example/" }],
    ["issuer.oidc_discovery", discovery("http://id.example")],
    ["issuer.oidc_discovery", discovery("https://id.example/.well-known/openid-configuration")],
    ["issuer.oidc_discovery", discovery("https://id.example/?tenant=1")],
    ["issuer.oidc_discovery", discovery("https://user:password@id.example/")],
  ])("name %s when it is wrong", async (field, issuer) => {
    expect((await failureOf(issuers().createIssuer({ parent, issuer }))).fields).toEqual([field]);
  });
});

describe("static keys", () => {
  it("are a JWK set or PEM, and read back", async () => {
    for (const text of [PUBLIC_PEM, JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }), TLS_PAIR.cert]) {
      const { issuer } = await issuers().createIssuer({
        parent,
        issuer: { iss: "https://s.example", ...staticKeys(text) },
      });
      expect(issuer!.keys.value).toBe(text);
    }
  });

  it("that are private are refused in words, and never repeated", async () => {
    const jwk = JSON.stringify({ keys: [privateKey.export({ format: "jwk" })] });
    for (const text of [PRIVATE_PEM, PUBLIC_PEM + PRIVATE_PEM, jwk]) {
      const failure = await failureOf(issuers().createIssuer({ parent, issuer: staticKeys(text) }));
      expect(failure.fields).toEqual(["issuer.static_keys"]);
      expect(failure.message).toContain("holds a private key");
    }
    for (const secret of [PRIVATE_PEM.split("\n")[1]!, privateKey.export({ format: "jwk" }).d!]) {
      expect(plane.answered()).not.toContain(secret);
      expect(plane.logged()).not.toContain(secret);
    }
  });

  it("must fit the issuer's algorithms", async () => {
    const issuer = { ...staticKeys(PUBLIC_PEM), algorithms: ["RS256", "PS512"] };
    const failure = await failureOf(issuers().createIssuer({ parent, issuer }));
    expect(failure.fields).toEqual(["issuer.static_keys"]);
  });
});

describe("algorithms", () => {
  it("default to the safe ones of the keys' kind", async () => {
    const { issuer } = await issuers().createIssuer({ parent, issuer: staticKeys(PUBLIC_PEM) });
    expect(issuer!.algorithms).toEqual(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]);
  });

  it("never mix secrets and public keys", async () => {
    for (const algorithms of [["HS256"], ["RS256", "HS512"]]) {
      const failure = await failureOf(issuers().createIssuer({ parent, issuer: { ...jwksUrl, algorithms } }));
      expect(failure.fields).toEqual(["issuer.algorithms"]);
    }
  });

  it("S12: say how long a secret must be", async () => {
    const secrets = plane.client(SecretService, project.keys.editor);
    const value = randomBytes(36).toString("base64");
    const { secret } = await secrets.createSecret({ parent, secret: { value } });
    const make = (algorithms: string[]) =>
      issuers().createIssuer({ parent, issuer: { iss: "https://h.example", ...hs256(secret!.name), algorithms } });
    await make(["HS256", "HS384"]);
    const failure = await failureOf(make(["HS512"]));
    expect(failure.fields).toEqual(["issuer.hs256.secret"]);
    expect(failure.message).toContain("at least 64 bytes");
    expect(failure.message).toContain("openssl rand -base64 64");
    const tooShort = randomBytes(20).toString("base64url");
    const update = await failureOf(secrets.updateSecret({ secret: { name: secret!.name, nextValue: tooShort } }));
    expect(update.fields).toEqual(["secret.next_value"]);
  });

  it("S12: words are refused as a secret, with a way out", async () => {
    const secrets = plane.client(SecretService, project.keys.editor);
    const value = "my-jwt-signing-key-for-production-2025";
    const { secret } = await secrets.createSecret({ parent, secret: { value } });
    const failure = await failureOf(issuers().createIssuer({ parent, issuer: hs256(secret!.name) }));
    expect(failure.message).toContain("too easy to guess: use random bytes, as from `openssl rand -base64 32`");
    expect(failure.message).not.toContain(value);
  });
});

describe("options", () => {
  it("are kept as they were written", async () => {
    const options = {
      audienceClaim: "client_id",
      maxLifetime: seconds(3600),
      acceptedTypes: ["at+jwt", "JWT"],
      caCertificates: TLS_PAIR.cert,
    };
    const { issuer } = await issuers().createIssuer({ parent, issuer: { ...jwksUrl, ...options } });
    expect(issuer).toMatchObject(options);
  });

  it.each([
    ["issuer.max_token_age", { ...jwksUrl, maxTokenAge: seconds(60) }, "allow_missing_exp"],
    ["issuer.ca_certificates", { ...jwksUrl, caCertificates: "-----BEGIN CERTIFICATE-----" }, "certificates in PEM"],
    ["issuer.ca_certificates", { ...staticKeys(PUBLIC_PEM), caCertificates: TLS_PAIR.cert }, "keys that are fetched"],
    ["issuer.accepted_types[0]", { ...jwksUrl, acceptedTypes: ["a b"] }, ""],
    ["issuer.audience_claim", { ...jwksUrl, audienceClaim: "a.b" }, ""],
  ])("name %s when it is wrong", async (field, issuer, why) => {
    const failure = await failureOf(issuers().createIssuer({ parent, issuer }));
    expect(failure.fields).toEqual([field]);
    expect(failure.message).toContain(why);
  });

  it("an age without allow_missing_exp is refused on update too, but goes away with it", async () => {
    const aged = { ...jwksUrl, allowMissingExp: true, maxTokenAge: seconds(60) };
    const { issuer } = await issuers().createIssuer({ parent, issuer: aged });
    const { name } = issuer!;
    const off = await issuers().updateIssuer({ issuer: { name }, updateMask: { paths: ["allow_missing_exp"] } });
    expect(off.issuer).toMatchObject({ allowMissingExp: false });
    expect(off.issuer!.maxTokenAge).toBeUndefined();
    const alone = issuers().updateIssuer({ issuer: { name, maxTokenAge: seconds(60) } });
    expect((await failureOf(alone)).fields).toEqual(["issuer.max_token_age"]);
  });
});

describe("audiences", () => {
  const links = () => plane.client(LinkService, project.keys.editor);

  it.each([
    ["jwks_url", jwksUrl],
    ["oidc_discovery", discovery("https://aud.example")],
    ["static_keys", staticKeys(PUBLIC_PEM)],
  ])("S9: are required of a link that trusts keys by %s, or waived in words", async (_kind, keys) => {
    const { issuer } = await issuers().createIssuer({ parent, issuer: keys });
    const link = { ...PLAIN_LINK, issuers: [issuer!.name] };
    expect((await failureOf(links().createLink({ parent, link }))).fields).toEqual(["link.audiences"]);
    const waived = await links().createLink({ parent, link: { ...link, anyAudience: true } });
    expect(waived.link!.conditions.map(({ type }) => type)).toEqual(["AUDIENCE_UNCHECKED"]);
    const all = { ...link, audiences: ["a", "b"], requireAllAudiences: true };
    expect((await links().createLink({ parent, link: all })).link).toMatchObject({ requireAllAudiences: true });
    const none = { ...link, anyAudience: true, requireAllAudiences: true };
    expect((await failureOf(links().createLink({ parent, link: none }))).fields).toEqual([
      "link.require_all_audiences",
    ]);
  });

  it("a token's query parameter is not one that an injection writes", async () => {
    const secrets = plane.client(SecretService, project.keys.editor);
    const { secret } = await secrets.createSecret({ parent, secret: { value: "sk_live_1234567890" } });
    const injection = { kind: { case: "query" as const, value: {} }, name: "key", secret: secret!.name };
    const link = { ...PLAIN_LINK, injections: [injection], userTokenQuery: "key" };
    expect((await failureOf(links().createLink({ parent, link }))).fields).toEqual(["link.user_token_query"]);
    const good = await links().createLink({
      parent,
      link: { ...link, userTokenQuery: "access_token", userTokenCookie: "session" },
    });
    expect(good.link).toMatchObject({ userTokenQuery: "access_token", userTokenCookie: "session" });
  });
});

describe("fetched keys", () => {
  it("are asked for anew by RefreshKeys, which travels as a change", async () => {
    const { issuer, configSequence } = await issuers().createIssuer({ parent, issuer: jwksUrl });
    const { name } = issuer!;
    expect(issuer!.keysRefreshTime).toBeUndefined();
    const first = await issuers().refreshKeys({ name });
    expect(first.issuer!.keysRefreshTime).toMatchObject({ seconds: BigInt(START_MS / 1000) });
    expect(first.configSequence).toBeGreaterThan(configSequence);
    const second = await issuers().refreshKeys({ name });
    expect(second.issuer!.keysRefreshTime).not.toEqual(first.issuer!.keysRefreshTime);
    expect(second.configSequence).toBeGreaterThan(first.configSequence);
    await issuers().updateIssuer({ issuer: { name, displayName: "Renamed" } });
    const { issuer: read } = await issuers().getIssuer({ name });
    expect(read!.keysRefreshTime).toEqual(second.issuer!.keysRefreshTime);
  });

  it("are RefreshKeys' only: other keys are never fetched, and viewers may not ask", async () => {
    const { issuer } = await issuers().createIssuer({ parent, issuer: staticKeys(PUBLIC_PEM) });
    expect((await failureOf(issuers().refreshKeys({ name: issuer!.name }))).reason).toBe("FIELD_INVALID");
    const asViewer = issuers(project.keys.viewer).refreshKeys({ name: issuer!.name });
    expect((await failureOf(asViewer)).code).toBe("PermissionDenied");
    expect((await failureOf(issuers().refreshKeys({ name: "projects/demo/issuers/none" }))).code).toBe("NotFound");
  });

  it("are shown by GetIssuer as each proxy sees them, and by no other call", async () => {
    const { issuer } = await issuers().createIssuer({ parent, issuer: jwksUrl });
    const { name } = issuer!;
    const status = { kids: ["k1", "k2"], fetchTime: seconds(1_800_000_000), nextTryTime: seconds(1_800_000_600) };
    const failed = { kids: [], lastError: "The issuer's keys were answered with status 500" };
    const report = (issuerKeys: object[]) =>
      plane.reportAsProxy(create(ReportConfigStatusRequestSchema, { applied: { sequence: 1n }, issuerKeys }));
    await report([
      { issuer: name, status },
      { issuer: "projects/demo/issuers/other", status: failed },
    ]);
    await report([{ issuer: name, status: failed }]);
    await report([]);
    const { issuer: read } = await issuers().getIssuer({ name });
    expect(read!.keyStatus).toHaveLength(2);
    expect(read!.keyStatus).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          kids: ["k1", "k2"],
          lastError: "",
          fetchTime: expect.objectContaining(status.fetchTime),
          nextTryTime: expect.objectContaining(status.nextTryTime),
          reportTime: expect.objectContaining({ seconds: BigInt(START_MS / 1000) }),
        }),
        expect.objectContaining(failed),
      ]),
    );
    expect(read!.keyStatus.every(({ proxy }) => proxy.startsWith("proxies/"))).toBe(true);
    const { issuers: listed } = await issuers().listIssuers({ parent, pageSize: 500 });
    expect(listed.flatMap(({ keyStatus }) => keyStatus)).toEqual([]);
  });
});
