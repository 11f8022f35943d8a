import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import {
  type SigningKey,
  SigningKeyService,
  SigningKeyState,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { idOf } from "../../server/src/model/resource-name.ts";
import { keysOfToken, revocationStreamName } from "../../server/src/model/revocation.ts";
import { RevocationIndex } from "../../server/src/policy/revocation.ts";
import { getConfigCurrent } from "../../server/src/store/config-current.ts";
import { proxies } from "../../server/src/store/schema.ts";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { signingKeys } from "../../server/src/store/schema-tokens.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
let plane: ControlPlane;
let project: TestProject;
let parent: string;
let link: string;
let made = 0;
/** A project of its own for each test; the proxies and the clock are everyone's. */
async function newProject(): Promise<void> {
  made += 1;
  project = await plane.makeProject(`demo-${made}`);
  parent = project.name;
  link = await makeLink(plane, parent, `weather-${made}`);
  await plane.store.transaction((tx) => tx.delete(proxies));
}
beforeAll(async () => {
  plane = await startControlPlane();
});
beforeEach(newProject);
afterAll(() => plane[Symbol.asyncDispose]());

const keys = (credential = project.keys.owner) => plane.client(SigningKeyService, credential);
const list = async (): Promise<SigningKey[]> => (await keys().listSigningKeys({ parent })).signingKeys;
const activeKey = async (): Promise<SigningKey> =>
  (await list()).find(({ state }) => state === SigningKeyState.ACTIVE) as SigningKey;
const mint = (seconds = 900n) =>
  plane
    .client(TokenService, project.keys.minter)
    .mintToken({ parent, subject: "u", links: [link], lifetime: { seconds } });

async function keySet(): Promise<JSONWebKeySet> {
  const path = `/p/demo-${made}/.well-known/jwks.json`;
  const answer = await plane.control.jwksRoute({
    clientAddress: "",
    method: "GET",
    path,
    header: () => undefined,
    body: async () => "",
  });
  return JSON.parse(String(answer?.body)) as JSONWebKeySet;
}
const kids = async (): Promise<unknown[]> => (await keySet()).keys.map(({ kid }) => kid);
const kidOf = ({ name }: { name: string }): string => name.slice(name.lastIndexOf("/") + 1);
const verifies = async (token: string): Promise<boolean> =>
  jwtVerify(token, createLocalJWKSet(await keySet()), { currentDate: new Date(plane.clock.now()) }).then(
    () => true,
    () => false,
  );
/** As the process does each minute. */
async function passTime(ms: number): Promise<void> {
  plane.clock.advance(ms);
  await plane.control.sweep();
}

describe("a new key", () => {
  it("is published and does not sign; the first of the issuer signs", async () => {
    const first = await activeKey();
    const { signingKey } = await keys().createSigningKey({ parent });
    expect(signingKey).toMatchObject({ state: SigningKeyState.PENDING, algorithm: "ES256" });
    expect((await kids()).sort()).toEqual([kidOf(first), kidOf(signingKey!)].sort());
    expect(decodeProtectedHeader((await mint()).accessToken).kid).toBe(kidOf(first));
  });

  it("is not made twice by a retry", async () => {
    const requestId = "b9a3cc7a-9a21-4d9b-8f0e-0d7e7f6b1c11";
    const one = await keys().createSigningKey({ parent, requestId });
    const two = await keys().createSigningKey({ parent, requestId });
    expect(two.signingKey?.name).toBe(one.signingKey?.name);
    expect(await list()).toHaveLength(2);
  });

  it.each(["ES256", "RS256", "Ed25519"])("may be for %s: its tokens verify by the key set", async (algorithm) => {
    const { signingKey } = await keys().rotateSigningKey({ parent, algorithm, force: true });
    const { accessToken } = await mint();
    expect(decodeProtectedHeader(accessToken)).toMatchObject({ alg: algorithm, kid: kidOf(signingKey!) });
    expect(await verifies(accessToken)).toBe(true);
  });

  it("is of the algorithm of the one that signs", async () => {
    await keys().rotateSigningKey({ parent, algorithm: "Ed25519", force: true });
    expect((await keys().rotateSigningKey({ parent })).signingKey?.algorithm).toBe("Ed25519");
  });
});

describe("an imported key", () => {
  const ec = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve }).privateKey;
  const rsa = (modulusLength = 2048) => generateKeyPairSync("rsa", { modulusLength }).privateKey;
  const ed = generateKeyPairSync("ed25519");
  const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;
  const jwk = (key: KeyObject): string => JSON.stringify(key.export({ format: "jwk" }));

  it.each([
    ["ES256", "PKCS#8", pem(ec())],
    ["RS256", "PKCS#8", pem(rsa())],
    ["Ed25519", "PKCS#8", pem(ed.privateKey)],
    ["ES256", "JWK", jwk(ec())],
    ["RS256", "JWK", jwk(rsa())],
  ])("for %s as %s signs once activated, and is nowhere in clear", async (algorithm, _form, privateKey) => {
    const { signingKey } = await keys().createSigningKey({ parent, privateKey });
    expect(signingKey?.algorithm).toBe(algorithm);
    await keys().activateSigningKey({ name: signingKey!.name, force: true });
    expect(await verifies((await mint()).accessToken)).toBe(true);
    const rows = await plane.store.read((reader) => reader.select().from(signingKeys));
    const audit = await plane.store.read((reader) => reader.select().from(auditRecords));
    const everything = JSON.stringify([rows, audit], (_, value) => (typeof value === "bigint" ? `${value}` : value));
    const { d = "" } = (privateKey.startsWith("{") ? JSON.parse(privateKey) : {}) as { d?: string };
    const secret = d === "" ? privateKey.slice(60, 100) : d;
    for (const text of [everything, plane.logged(), plane.answered()]) expect(text.includes(secret)).toBe(false);
    expect(Object.keys(JSON.parse(signingKey!.publicJwk) as object)).not.toContain("d");
  });

  it.each<[string, string]>([
    ["garbage", "this is no key, whatever one makes of it, in no format at all"],
    ["a public key", ed.publicKey.export({ type: "spki", format: "pem" }) as string],
    ["a short RSA key", pem(rsa(1024))],
    ["a curve we do not sign with", pem(ec("P-384"))],
    ["a symmetric key", '{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}'],
  ])("that is %s is refused, and never repeated", async (_what, privateKey) => {
    const failure = await failureOf(keys().createSigningKey({ parent, privateKey }));
    expect(failure).toMatchObject({ reason: "FIELD_INVALID", fields: ["private_key"] });
    expect((plane.answered() + plane.logged()).includes(privateKey.slice(28, 60))).toBe(false);
  });

  it("for one algorithm is refused as another's", async () => {
    const privateKey = pem(ec());
    const call = keys().createSigningKey({ parent, privateKey, signingKey: { algorithm: "RS256" } });
    expect((await failureOf(call)).fields).toEqual(["signing_key.algorithm"]);
  });
});

describe("activation", () => {
  it("is refused before the key was published for 15 minutes, to the millisecond, and not after", async () => {
    const { signingKey } = await keys().createSigningKey({ parent });
    const name = signingKey!.name;
    plane.clock.advance(15 * MINUTE_MS - 1);
    const failure = await failureOf(keys().activateSigningKey({ name }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "PRECONDITION_UNMET" });
    expect(decodeProtectedHeader((await mint()).accessToken).kid).not.toBe(kidOf(signingKey!));
    plane.clock.advance(1);
    const { signingKey: active } = await keys().activateSigningKey({ name });
    expect(active?.state).toBe(SigningKeyState.ACTIVE);
    expect(decodeProtectedHeader((await mint()).accessToken).kid).toBe(kidOf(signingKey!));
  });

  it("waits for every proxy that was heard of within a day; force does not", async () => {
    const { signingKey, configSequence } = await keys().createSigningKey({ parent });
    const name = signingKey!.name;
    const { epoch } = await headOf();
    await plane.reportAsProxy(statusOf(epoch, configSequence - 1n));
    plane.clock.advance(16 * MINUTE_MS);
    expect((await failureOf(keys().activateSigningKey({ name }))).message).toContain("1 proxies do not have the key");
    await plane.store.transaction((tx) => tx.update(proxies).set({ appliedSequence: configSequence }));
    expect((await keys().activateSigningKey({ name })).signingKey?.state).toBe(SigningKeyState.ACTIVE);

    const next = (await keys().createSigningKey({ parent })).signingKey!;
    expect((await keys().activateSigningKey({ name: next.name, force: true })).signingKey?.state).toBe(
      SigningKeyState.ACTIVE,
    );
  });

  it("does not wait for a proxy that was not heard of for a day", async () => {
    const { signingKey, configSequence } = await keys().createSigningKey({ parent });
    await plane.reportAsProxy(statusOf((await headOf()).epoch, configSequence - 1n));
    plane.clock.advance(DAY_MS);
    await keys().activateSigningKey({ name: signingKey!.name });
  });

  it("is for pending keys only", async () => {
    const { name } = await activeKey();
    expect((await failureOf(keys().activateSigningKey({ name, force: true }))).reason).toBe("PRECONDITION_UNMET");
  });
});

describe("a rotated key", () => {
  it("verifies its tokens to their end, and leaves the key set after the last has expired", async () => {
    const old = await activeKey();
    const { accessToken } = await mint(86_400n);
    await keys().rotateSigningKey({ parent, force: true });
    expect(decodeProtectedHeader((await mint()).accessToken).kid).not.toBe(kidOf(old));
    for (let elapsed = 0; elapsed < DAY_MS; elapsed += 60 * MINUTE_MS) {
      expect(await verifies(accessToken)).toBe(true);
      await passTime(60 * MINUTE_MS - 1);
      expect(await kids()).toContain(kidOf(old));
      plane.clock.advance(1);
    }
    await passTime(6 * MINUTE_MS);
    expect(await kids()).not.toContain(kidOf(old));
  });

  it("is never listed once it is retired, at any time, whether or not a job has run", async () => {
    const { signingKey } = await keys().rotateSigningKey({ parent, force: true });
    for (let minute = 0; minute < 26 * 60; minute += 7) {
      const states = await list();
      const published = await kids();
      for (const key of states) {
        const isOut = key.state === SigningKeyState.RETIRED || key.state === SigningKeyState.REVOKED;
        expect(published.includes(kidOf(key))).toBe(!isOut);
      }
      plane.clock.advance(7 * MINUTE_MS);
    }
    expect(await kids()).toEqual([kidOf(signingKey!)]);
  });

  it("is asked for again without effect until it signs, then takes over by itself", async () => {
    const { signingKey } = await keys().rotateSigningKey({ parent });
    expect((await keys().rotateSigningKey({ parent })).signingKey?.name).toBe(signingKey?.name);
    await passTime(15 * MINUTE_MS - 1);
    expect((await activeKey()).name).not.toBe(signingKey?.name);
    await passTime(1);
    expect((await activeKey()).name).toBe(signingKey?.name);
  });
});

describe("rotation by itself", () => {
  it("publishes a successor a day ahead, which signs after 90 days; every step is in the audit trail", async () => {
    const first = await activeKey();
    await passTime(89 * DAY_MS - 1);
    expect(await list()).toHaveLength(1);
    await passTime(1);
    await passTime(1);
    expect(await list()).toHaveLength(2);
    await passTime(DAY_MS - 2);
    expect((await activeKey()).name).toBe(first.name);
    await passTime(1);
    expect((await activeKey()).name).not.toBe(first.name);
    await passTime(2 * DAY_MS);
    expect((await list()).map(({ state }) => state)).toEqual([SigningKeyState.ACTIVE, SigningKeyState.RETIRED]);
    const audit = await plane.store.read((reader) => reader.select().from(auditRecords).orderBy(auditRecords.id));
    expect(
      audit
        .filter((row) => row.actor === "jobs/signing-keys" && `projects/${row.project}` === parent)
        .map(({ action }) => action),
    ).toEqual([
      "SigningKeyService.RotateSigningKey",
      "SigningKeyService.ActivateSigningKey",
      "SigningKeyService.RetireSigningKey",
    ]);
  });
});

describe("revocation", () => {
  it("of the key that signs needs force, and another signs at once", async () => {
    const old = await activeKey();
    const { accessToken } = await mint();
    expect((await failureOf(keys().revokeSigningKey({ name: old.name }))).reason).toBe("PRECONDITION_UNMET");
    const { signingKey } = await keys().revokeSigningKey({ name: old.name, force: true, reason: "leaked" });
    expect(signingKey?.state).toBe(SigningKeyState.REVOKED);
    expect(await kids()).not.toContain(kidOf(old));
    expect(await verifies(accessToken)).toBe(false);
    expect(await verifies((await mint()).accessToken)).toBe(true);
  });

  it("of a retiring key needs force while its tokens may be valid, and never puts it back", async () => {
    const old = await activeKey();
    await keys().rotateSigningKey({ parent, force: true });
    expect((await failureOf(keys().revokeSigningKey({ name: old.name }))).reason).toBe("PRECONDITION_UNMET");
    await keys().revokeSigningKey({ name: old.name, force: true });
    expect((await failureOf(keys().activateSigningKey({ name: old.name, force: true }))).reason).toBe(
      "PRECONDITION_UNMET",
    );
  });

  it("puts a revocation of what the key signed into effect at every proxy, also one that has only heard of that", async () => {
    const old = await activeKey();
    const issuer = `${parent}/issuers/built-in`;
    await keys().revokeSigningKey({ name: old.name, force: true, reason: "leaked" });
    const { revocations } = await plane.client(RevocationService, project.keys.owner).listRevocations({ parent });
    expect(revocations).toHaveLength(1);
    const [revocation] = revocations;
    expect(revocation?.reason).toBe("leaked");
    expect(revocation?.target).toMatchObject({ case: "key", value: { issuer, kid: kidOf(old) } });
    // As the config stream carries it.
    const name = revocationStreamName(revocation!.name);
    const held = await plane.store.read((reader) => getConfigCurrent(reader, { kind: "revocation", name }));
    const sent = decodeConfigResource("revocation", held!.payload);
    const index = new RevocationIndex();
    if (sent.kind === "revocation") index.set({ name, version: 1n, entry: sent.revocation });
    const token = { project: idOf(parent), link, issuer, jti: "j", sid: undefined, sub: "u" };
    const isRevoked = (kid: string) => index.isRevoked(() => keysOfToken({ ...token, kid }), 1, plane.clock.now());
    expect([isRevoked(kidOf(old)), isRevoked(kidOf(await activeKey()))]).toEqual([true, false]);
  });

  it("of a pending key needs no force", async () => {
    const { signingKey } = await keys().createSigningKey({ parent });
    await keys().revokeSigningKey({ name: signingKey!.name });
    expect(await kids()).toEqual([kidOf(await activeKey())]);
  });
});

describe("on PostgreSQL", () => {
  it("any number of changes at once leave one key that signs", async () => {
    await plane[Symbol.asyncDispose]();
    plane = await startControlPlane("postgres");
    await newProject();
    const several = await Promise.all(Array.from({ length: 4 }, () => keys().createSigningKey({ parent })));
    await Promise.allSettled([
      ...several.map(({ signingKey }) => keys().activateSigningKey({ name: signingKey!.name, force: true })),
      keys().rotateSigningKey({ parent, force: true }),
      keys().revokeSigningKey({ name: (await activeKey()).name, force: true }),
      plane.control.sweep(),
    ]);
    const active = (await list()).filter(({ state }) => state === SigningKeyState.ACTIVE);
    expect(active).toHaveLength(1);
    expect(decodeProtectedHeader((await mint()).accessToken).kid).toBe(kidOf(active[0]!));
  });
});

async function headOf() {
  const { getConfigHead, knownHead } = await import("../../server/src/store/config-head.ts");
  return knownHead(await plane.store.read(getConfigHead));
}

const statusOf = (epoch: string, sequence: bigint) =>
  ({ proxyVersion: "0.0.0", applied: { epoch, sequence, stateDigest: new Uint8Array(32) } }) as never;
