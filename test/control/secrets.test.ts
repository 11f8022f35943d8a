import { createHash } from "node:crypto";
import { IssuerService, SecretEncoding } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ControlPlane, failureOf, PLAIN_LINK, startControlPlane, type TestProject } from "./control-plane.ts";

/** Random enough for an HMAC secret, and searched for in everything that comes back. */
const CANARY = "cAnArY-7fQ2xLw9ZpT4vKs8RbN3mHd6YjG1";
const NEXT_CANARY = "nExT-cAnArY-5tGv8Wq2ZxL7pKj4RbN9mHd3Yf";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  await plane.makeProject("other");
});
afterAll(async () => {
  // Every test of this file sent canaries: none may have come back or been logged.
  for (const canary of [CANARY, NEXT_CANARY]) {
    expect(plane.answered()).not.toContain(canary);
    expect(plane.logged()).not.toContain(canary);
  }
  await plane[Symbol.asyncDispose]();
});

const secrets = () => plane.client(SecretService, project.keys.editor);
const issuers = (credential = project.keys.editor) => plane.client(IssuerService, credential);
const links = () => plane.client(LinkService, project.keys.editor);
const parent = "projects/demo";

const createSecret = async (value = CANARY): Promise<string> =>
  (await secrets().createSecret({ parent, secret: { value } })).secret!.name;
const hs256 = (secret: string, encoding: SecretEncoding = SecretEncoding.UTF8) => ({
  keys: { case: "hs256" as const, value: { secret, encoding } },
});

describe("a secret", () => {
  it("is written and never read back: a fingerprint and whether there is a value", async () => {
    const { secret } = await secrets().createSecret({ parent, secretId: "api-key", secret: { value: CANARY } });
    const fingerprint = createHash("sha256").update(CANARY).digest("hex").slice(0, 8);
    expect(secret).toMatchObject({
      name: "projects/demo/secrets/api-key",
      secretSet: true,
      nextSecretSet: false,
      fingerprint,
      value: "",
      nextValue: "",
    });
    expect((await secrets().getSecret({ name: secret!.name })).secret).toEqual(secret);
    expect((await secrets().listSecrets({ parent })).secrets).toContainEqual(secret);
  });

  it("gets a next value, and loses it again", async () => {
    const name = await createSecret();
    const { secret } = await secrets().updateSecret({ secret: { name, nextValue: NEXT_CANARY } });
    expect(secret!.nextSecretSet).toBe(true);
    const { secret: cleared } = await secrets().updateSecret({
      secret: { name },
      updateMask: { paths: ["next_value"] },
    });
    expect(cleared!.nextSecretSet).toBe(false);
  });

  it("gets a new value with a new fingerprint; a new name leaves both alone", async () => {
    const name = await createSecret();
    const before = await secrets().getSecret({ name });
    const renamed = await secrets().updateSecret({ secret: { name, displayName: "Renamed" } });
    expect(renamed.secret).toMatchObject({ displayName: "Renamed", fingerprint: before.secret!.fingerprint });
    const changed = await secrets().updateSecret({ secret: { name, value: NEXT_CANARY } });
    expect(changed.secret!.fingerprint).not.toBe(before.secret!.fingerprint);
    expect(changed.configSequence).toBeGreaterThan(renamed.configSequence);
  });

  it.each([
    ["", "secret.value"],
    [`${CANARY}\n`, "secret.value"],
    [` ${CANARY}`, "secret.value"],
    [`${CANARY}ü`, "secret.value"],
  ])("of %j is refused by name", async (value, field) => {
    const failure = await failureOf(secrets().createSecret({ parent, secret: { value } }));
    expect(failure).toMatchObject({ reason: "FIELD_INVALID", fields: [field] });
  });

  it("of more than 8,192 bytes is refused by name", async () => {
    const failure = await failureOf(secrets().createSecret({ parent, secret: { value: CANARY.repeat(300) } }));
    expect(failure.fields).toEqual(["secret.value"]);
  });

  it("cannot be emptied", async () => {
    const name = await createSecret();
    for (const paths of [["value"], ["*"]])
      expect((await failureOf(secrets().updateSecret({ secret: { name }, updateMask: { paths } }))).fields).toEqual([
        "secret.value",
      ]);
  });

  it("in use cannot be deleted: the answer names its users", async () => {
    const name = await createSecret();
    const injections = [{ kind: { case: "bearer" as const, value: {} }, secret: name }];
    const { link } = await links().createLink({ parent, link: { ...PLAIN_LINK, injections } });
    const { issuer } = await issuers().createIssuer({ parent, issuer: { iss: "https://a.example", ...hs256(name) } });
    const failure = await failureOf(secrets().deleteSecret({ name }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "RESOURCE_IN_USE" });
    expect(failure.message).toContain(link!.name);
    expect(failure.message).toContain(issuer!.name);
    await links().deleteLink({ name: link!.name });
    await issuers().deleteIssuer({ name: issuer!.name });
    await secrets().deleteSecret({ name });
    expect((await failureOf(secrets().getSecret({ name }))).code).toBe("NotFound");
  });

  it("with a request id is stored once, and another value under the same id is refused", async () => {
    const request = { parent, secret: { value: CANARY }, requestId: crypto.randomUUID() };
    const first = await secrets().createSecret(request);
    expect((await secrets().createSecret(request)).secret).toEqual(first.secret);
    const other = { ...request, secret: { value: NEXT_CANARY } };
    expect((await failureOf(secrets().createSecret(other))).reason).toBe("REQUEST_ID_REUSED");
  });
});

describe("an HMAC secret", () => {
  it.each([
    ["shorter than 32 bytes", CANARY.slice(0, 31)],
    ["repeated", "abcd".repeat(10)],
    ["from a tutorial", "your-super-secret-jwt-token-with-at-least-32-characters-long"],
  ])("%s is refused for an issuer, and as the new value of one that an issuer uses", async (_what, value) => {
    const weak = await createSecret(value);
    const create = issuers().createIssuer({ parent, issuer: { iss: "https://weak.example", ...hs256(weak) } });
    expect(await failureOf(create)).toMatchObject({ reason: "FIELD_INVALID", fields: ["issuer.hs256.secret"] });

    const strong = await createSecret();
    const { issuer } = await issuers().createIssuer({
      parent,
      issuer: { iss: "https://ok.example", ...hs256(strong) },
    });
    for (const [field, secret] of [
      ["secret.value", { name: strong, value }],
      ["secret.next_value", { name: strong, nextValue: value }],
    ] as const) {
      const failure = await failureOf(secrets().updateSecret({ secret }));
      expect(failure.fields).toEqual([field]);
      expect(failure.message).toContain(issuer!.name);
      expect(failure.message).not.toContain(value);
    }
  });

  it("counts as the bytes its encoding makes of it", async () => {
    const secret = await createSecret("zz".repeat(20));
    const failure = await failureOf(
      issuers().createIssuer({ parent, issuer: { iss: "https://hex.example", ...hs256(secret, SecretEncoding.HEX) } }),
    );
    expect(failure.fields).toEqual(["issuer.hs256.secret"]);
  });

  it("must be a secret of the same project", async () => {
    for (const name of ["projects/demo/secrets/none", "projects/other/secrets/none"])
      expect((await failureOf(issuers().createIssuer({ parent, issuer: hs256(name) }))).fields).toEqual([
        "issuer.hs256.secret",
      ]);
  });
});

describe("an issuer", () => {
  const jwks = (value: string) => ({ keys: { case: "jwksUrl" as const, value } });

  it("has the defaults of contract.md 3", async () => {
    const issuer = { iss: "https://id.example", ...jwks("https://id.example/jwks") };
    const answer = await issuers().createIssuer({ parent, issuerId: "oidc", issuer });
    expect(answer.issuer).toMatchObject({
      name: "projects/demo/issuers/oidc",
      algorithms: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
      expLeeway: { seconds: 5n },
      clockLeeway: { seconds: 60n },
    });
  });

  it.each([
    ["issuer.jwks_url", jwks("http://id.example/jwks")],
    ["issuer.algorithms", { ...jwks("https://id.example/jwks"), algorithms: ["HS256"] }],
    ["issuer.algorithms[0]", { ...jwks("https://id.example/jwks"), algorithms: ["none"] }],
    ["issuer.max_token_age", { ...jwks("https://id.example/jwks"), allowMissingExp: true }],
    ["issuer.keys", {}],
    ["issuer.built_in", { keys: { case: "builtIn" as const, value: {} } }],
  ])("names %s when it is wrong", async (field, issuer) => {
    expect((await failureOf(issuers().createIssuer({ parent, issuer }))).fields).toEqual([field]);
  });

  it("lets operators alone open the way to private addresses", async () => {
    const issuer = { ...jwks("https://10.0.0.1/jwks"), iss: "https://private.example", allowPrivate: true };
    expect((await failureOf(issuers().createIssuer({ parent, issuer }))).code).toBe("PermissionDenied");
    const made = await issuers(plane.operatorKey).createIssuer({ parent, issuer });
    const turned = { name: made.issuer!.name, ...jwks("https://10.0.0.2/jwks") };
    expect((await failureOf(issuers().updateIssuer({ issuer: turned }))).code).toBe("PermissionDenied");
  });

  it("cannot change so that a link that trusts it would not hold any more", async () => {
    const { issuer } = await issuers().createIssuer({
      parent,
      issuer: { iss: "https://hmac.example", ...hs256(await createSecret()) },
    });
    const { link } = await links().createLink({ parent, link: { ...PLAIN_LINK, issuers: [issuer!.name] } });
    const change = { name: issuer!.name, ...jwks("https://hmac.example/jwks"), algorithms: ["RS256"] };
    const failure = await failureOf(issuers().updateIssuer({ issuer: change }));
    expect(failure.fields).toEqual(["issuer"]);
    expect(failure.message).toContain(link!.name);
    expect((await failureOf(issuers().deleteIssuer({ name: issuer!.name }))).reason).toBe("RESOURCE_IN_USE");
  });

  it("of the project itself keeps its nature", async () => {
    const name = "projects/demo/issuers/built-in";
    const { issuer } = await issuers().getIssuer({ name });
    expect(issuer).toMatchObject({
      iss: "https://control.example/p/demo",
      algorithms: ["ES256", "RS256", "Ed25519"],
      expLeeway: {},
    });
    const fixed = { iss: { name, iss: "https://evil.example" }, keys: { name, ...jwks("https://evil.example/jwks") } };
    expect((await failureOf(issuers().updateIssuer({ issuer: fixed.iss }))).fields).toEqual(["issuer.iss"]);
    expect((await failureOf(issuers().updateIssuer({ issuer: fixed.keys }))).fields).toEqual(["issuer.built_in"]);
    expect((await failureOf(issuers().deleteIssuer({ name }))).reason).toBe("RESOURCE_IN_USE");
    await issuers().updateIssuer({ issuer: { name, displayName: "Ours" } });
  });
});
