// The key of X-Conduit-Assertion: made with the first link that asks, sealed for the proxies, apart from users' tokens.
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import {
  type SigningKey,
  SigningKeyPurpose,
  SigningKeyService,
  SigningKeyState,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { type AssertionKey, signAssertion } from "../../server/src/jwt/assertion.ts";
import { openResource } from "../../server/src/proxy/config/opener.ts";
import { systemRandom } from "../../server/src/random.ts";
import { generateSealingKey } from "../../server/src/sealing/sealing-key.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
let plane: ControlPlane;
let project: TestProject;
let parent: string;
let made = 0;
beforeAll(async () => {
  plane = await startControlPlane();
});
beforeEach(async () => {
  made += 1;
  project = await plane.makeProject(`asserting-${made}`);
  parent = project.name;
});
afterAll(() => plane[Symbol.asyncDispose]());

const links = () => plane.client(LinkService, project.keys.editor);
const keys = () => plane.client(SigningKeyService, project.keys.owner);
const link = (id: string) => `${parent}/links/${id}-${made}`;
/** A link that asks for assertions, or does not. */
const newLink = async (id: string, identityAssertion: boolean): Promise<string> => {
  await makeLink(plane, parent, `${id}-${made}`);
  if (identityAssertion) await ask(id, true);
  return link(id);
};
const ask = (id: string, identityAssertion: boolean) =>
  links().updateLink({
    link: { name: link(id), identityAssertion },
    updateMask: { paths: ["identity_assertion"] },
  });

const assertionKeys = async (): Promise<SigningKey[]> =>
  (await keys().listSigningKeys({ parent })).signingKeys.filter(
    ({ purpose }) => purpose === SigningKeyPurpose.ASSERTION,
  );
const kidOf = ({ name }: { name: string }): string => name.slice(name.lastIndexOf("/") + 1);

async function publicKeys(): Promise<JSONWebKeySet> {
  const path = `/p/asserting-${made}/.well-known/jwks.json`;
  const request = { clientAddress: "", method: "GET", path, header: () => undefined, body: async () => "" };
  return JSON.parse(String((await plane.control.jwksRoute(request))?.body)) as JSONWebKeySet;
}

/** What every proxy holds of this project, as it came. */
const streamed = () =>
  plane.store.read(async (reader) =>
    (await readConfigCurrent(reader, undefined, 1_000)).filter(({ name }) => name.startsWith(`${parent}/`)),
  );
/** The key as a proxy opens it; undefined = it has none. */
async function proxysKey(): Promise<AssertionKey | undefined> {
  const effects = { keyring: plane.keyring, clock: plane.clock, random: systemRandom, version: "" };
  const { fleetKey } = await openFleet(plane.store, effects);
  const resource = (await streamed()).find(({ kind }) => kind === "assertion_key");
  const opened = resource && openResource(resource, fleetKey);
  return opened?.kind === "assertion_key" ? opened.key : undefined;
}
const content = {
  audience: "https://api.example",
  claims: {},
  subject: "u",
  userIssuer: undefined,
  link: "l",
  requestId: "r",
};
/** Whether what a proxy signs now verifies by the issuer's key set. */
async function verifies(key: AssertionKey | undefined): Promise<boolean> {
  const text = key === undefined ? "" : signAssertion(key, content, plane.clock.now());
  const currentDate = new Date(plane.clock.now());
  return jwtVerify(text, createLocalJWKSet(await publicKeys()), { currentDate, typ: "conduit-assertion+jwt" }).then(
    ({ payload }) => payload.iss === `https://control.example/p/asserting-${made}`,
    () => false,
  );
}
async function passTime(ms: number): Promise<void> {
  plane.clock.advance(ms);
  await plane.control.sweep();
}

describe("the key of assertions", () => {
  it("is there while a link asks for it, and only then", async () => {
    await newLink("plain", false);
    expect([await proxysKey(), await assertionKeys()]).toEqual([undefined, []]);
    await newLink("first", true);
    const key = await proxysKey();
    expect(await verifies(key)).toBe(true);
    await newLink("second", true);
    await ask("first", false);
    expect((await proxysKey())?.kid).toBe(key?.kid);
    await links().deleteLink({ name: link("second") });
    expect(await proxysKey()).toBeUndefined();
    await ask("plain", true);
    // The same again: it was never revoked.
    expect((await proxysKey())?.kid).toBe(key?.kid);
    expect(await assertionKeys()).toHaveLength(1);
  });

  it("is made by a create that asks, and by none that only tries", async () => {
    const request = { parent, link: { upstream: { baseUrl: "https://api.example" }, rules: [{ path: "/**" }] } };
    const asking = { ...request, link: { ...request.link, identityAssertion: true } };
    await links().createLink({ ...asking, validateOnly: true });
    expect([await proxysKey(), await assertionKeys()]).toEqual([undefined, []]);
    const { link: created } = await links().createLink({ ...asking, linkId: `made-${made}` });
    expect(created?.identityAssertion).toBe(true);
    expect(await verifies(await proxysKey())).toBe(true);
  });

  it("S17: travels sealed under the fleet key and for its own kid, and is shown by no answer", async () => {
    await newLink("first", true);
    const resource = (await streamed()).find(({ kind }) => kind === "assertion_key");
    const { d = "" } = ((await proxysKey())?.key.export({ format: "jwk" }) ?? {}) as { d?: string };
    expect(d.length).toBeGreaterThan(40);
    for (const text of [plane.answered(), plane.logged(), Buffer.from(resource!.payload).toString("latin1")])
      expect(text).not.toContain(d);
    expect(() => openResource(resource!, generateSealingKey(systemRandom))).toThrow();
  });

  it("is not among the keys by which proxies and the API verify users' tokens", async () => {
    const name = await newLink("first", true);
    const [assertionKey] = await assertionKeys();
    const issuer = (await streamed()).find((it) => it.kind === "issuer" && it.name.endsWith("/built-in"));
    const decoded = decodeConfigResource("issuer", issuer!.payload);
    const jwks = decoded.kind === "issuer" ? (decoded.jwks ?? "") : "";
    expect(jwks).toContain('"kid"');
    expect(jwks).not.toContain(kidOf(assertionKey!));
    expect((await publicKeys()).keys.map(({ kid }) => kid)).toContain(kidOf(assertionKey!));
    // What a proxy that was broken into could sign with it at most.
    const key = await proxysKey();
    const now = Math.floor(plane.clock.now() / 1000);
    const forged = await new SignJWT({ sub: "admin", aud: [name], jti: "j", client_id: "c", iat: now, exp: now + 60 })
      .setIssuer(key!.iss)
      .setProtectedHeader({ alg: key!.algorithm, typ: "at+jwt", kid: key!.kid })
      .sign(key!.key);
    await links().updateLink({ link: { name, issuers: [`${parent}/issuers/built-in`], userTokenMode: 1 } });
    const tokens = plane.client(TokenService, project.keys.owner);
    expect(await tokens.verifyToken({ link: name, token: forged })).toMatchObject({ code: "token_signature_invalid" });
    expect((await tokens.introspectToken({ parent, token: forged })).active).toBe(false);
    const exchange = tokens.exchangeToken({ parent, subjectToken: forged, links: [name] });
    expect((await failureOf(exchange)).fields).toEqual(["subject_token"]);
  });

  it("does not sign users' tokens, nor the other way round", async () => {
    const name = await newLink("first", true);
    const request = { parent, subject: "u", links: [name] };
    const { accessToken } = await plane.client(TokenService, project.keys.minter).mintToken(request);
    const { kid } = decodeProtectedHeader(accessToken);
    expect([kid, (await proxysKey())?.kid]).toHaveLength(new Set([kid, (await proxysKey())?.kid]).size);
  });
});

describe("rotation of the key of assertions", () => {
  it("happens by itself after 90 days: published a day ahead, and the old one for a day after", async () => {
    await newLink("first", true);
    const old = await proxysKey();
    await passTime(89 * DAY_MS);
    const [pending] = await assertionKeys();
    expect(pending?.state).toBe(SigningKeyState.PENDING);
    expect((await publicKeys()).keys.map(({ kid }) => kid)).toContain(kidOf(pending!));
    expect((await proxysKey())?.kid).toBe(old?.kid);
    await passTime(DAY_MS);
    expect((await proxysKey())?.kid).toBe(kidOf(pending!));
    expect([await verifies(old), await verifies(await proxysKey())]).toEqual([true, true]);
    await passTime(2 * DAY_MS);
    expect([await verifies(old), await verifies(await proxysKey())]).toEqual([false, true]);
  });

  it("by hand leaves users' tokens alone, and a leaked key is gone from the set at once", async () => {
    await newLink("first", true);
    const old = await proxysKey();
    const purpose = SigningKeyPurpose.ASSERTION;
    const { signingKey } = await keys().rotateSigningKey({ parent, purpose, algorithm: "Ed25519", force: true });
    expect(await proxysKey()).toMatchObject({ kid: kidOf(signingKey!), algorithm: "Ed25519" });
    await keys().revokeSigningKey({ name: `${parent}/signingKeys/${old?.kid}`, force: true });
    expect([await verifies(old), await verifies(await proxysKey())]).toEqual([false, true]);
    await keys().revokeSigningKey({ name: signingKey!.name, force: true });
    expect(await verifies(await proxysKey())).toBe(true);
    const all = (await keys().listSigningKeys({ parent })).signingKeys;
    expect(all.filter((key) => key.purpose === SigningKeyPurpose.TOKEN)).toHaveLength(1);
  });

  it("sends nothing to the proxies when nothing changed", async () => {
    await newLink("first", true);
    const before = await streamed();
    await newLink("second", true);
    const pick = (all: typeof before) => all.find(({ kind }) => kind === "assertion_key")?.version;
    expect(pick(await streamed())).toBe(pick(before));
  });
});

describe("on PostgreSQL", () => {
  it("links that begin and cease to ask at once never end with one that asks and no key", async () => {
    await using postgres = await startControlPlane("postgres");
    const pglite = plane;
    plane = postgres;
    try {
      project = await plane.makeProject(`asserting-${made}`);
      parent = project.name;
      await Promise.all(["one", "two"].map((id) => newLink(id, false)));
      for (const asks of [true, false, true, false]) {
        await Promise.all([ask("one", asks), ask("two", !asks)]);
        expect(await verifies(await proxysKey())).toBe(true);
      }
      expect(await assertionKeys()).toHaveLength(1);
      await Promise.all([ask("one", false), ask("two", false)]);
      expect(await proxysKey()).toBeUndefined();
    } finally {
      plane = pglite;
    }
  });
});
