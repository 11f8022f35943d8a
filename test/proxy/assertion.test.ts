// What an upstream may rely on in X-Conduit-Assertion. Scored on what it received; verified by jose and by node:crypto.
import { createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from "node:crypto";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { readAssertionKey } from "../../server/src/jwt/assertion.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import type { BuiltInAlgorithm } from "../../server/src/model/signing-key.ts";
import type { OpenedResource } from "../../server/src/proxy/config/resource-set.ts";
import { startHttpServer } from "../support/http-server.ts";
import {
  credentialLines,
  fakeClock,
  ISSUER,
  ISSUER_NAME,
  LINK_ID,
  LINK_NAME,
  type LinkChanges,
  linkOf,
  rawExchange,
  revokeToken,
  startProxy,
  statusesOf,
  userToken,
} from "./harness.ts";

const ISS = "https://control.example/p/demo";
const KEY_NAME = "projects/demo/assertionKey";

interface KeyPair {
  readonly resource: OpenedResource;
  readonly jwk: JsonWebKey & { kid: string; alg: string };
}

function newKey(algorithm: BuiltInAlgorithm = "ES256", kid = "key-1"): KeyPair {
  const pairs = {
    ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    Ed25519: () => generateKeyPairSync("ed25519"),
  };
  const { privateKey, publicKey } = pairs[algorithm]();
  const text = new SecretText(JSON.stringify(privateKey.export({ format: "jwk" })));
  const key = readAssertionKey({ iss: ISS, kid, algorithm }, text);
  return {
    resource: { kind: "assertion_key", name: KEY_NAME, key },
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" } as KeyPair["jwk"],
  };
}

const keySetOf = (...keys: KeyPair[]): JSONWebKeySet => ({ keys: keys.map(({ jwk }) => jwk) }) as JSONWebKeySet;

/** A proxy before an upstream whose link sends assertions. */
async function startLink(changes: LinkChanges = {}, key = newKey()) {
  const upstream = await startHttpServer();
  const clock = fakeClock();
  const proxy = await startProxy({ baseUrl: `${upstream.url}/base`, clock });
  const link = (more: LinkChanges = {}): OpenedResource => ({
    kind: "link",
    name: LINK_NAME,
    link: linkOf(`${upstream.url}/base`, { identityAssertion: true, ...changes, ...more }),
  });
  proxy.put(key.resource, link());
  const token = (claims: Record<string, unknown> = {}) => {
    const iat = Math.floor(clock.now() / 1000);
    return userToken({ iat, exp: iat + 3600, ...claims });
  };
  const call = async (jwt = token()) => {
    const before = upstream.requests.length;
    const answer = await proxy.call("/x", { headers: { authorization: `Bearer ${jwt}` } });
    const seen = upstream.requests[before];
    const assertions = seen?.header("x-conduit-assertion") ?? [];
    return { status: answer.status, assertions, text: assertions[0] ?? "", requestId: seen?.header("x-request-id")[0] };
  };
  const verified = async (text: string, keys = keySetOf(key)): Promise<JWTPayload> => {
    const options = { issuer: ISS, audience: upstream.url, typ: "conduit-assertion+jwt" };
    const currentDate = new Date(clock.now());
    return (await jwtVerify(text, createLocalJWKSet(keys), { ...options, currentDate })).payload;
  };
  return { upstream, proxy, clock, link, token, call, verified, key, [Symbol.asyncDispose]: () => upstream.close() };
}

describe("an assertion", () => {
  test.each(["ES256", "Ed25519", "RS256"] as const)(
    "says who calls, signed with %s, for this upstream alone",
    async (alg) => {
      const claimHeaders = [
        { claim: "roles", fallbackClaims: ["role"], header: "X-User-Roles", ifMissing: "OMIT" },
        { claim: "org.id", fallbackClaims: [], header: "X-Org", ifMissing: "OMIT" },
        { claim: '["https://app.example/plan"]', fallbackClaims: [], header: "X-Plan", ifMissing: "OMIT" },
        { claim: "absent", fallbackClaims: [], header: "X-Absent", ifMissing: "OMIT" },
      ] as const;
      await using it = await startLink({ claimHeaders }, newKey(alg));
      const claims = {
        role: ["a", "b"],
        org: { id: 7, secret: "not mapped" },
        "https://app.example/plan": "pro",
        email: "x",
      };
      const { text, assertions, requestId } = await it.call(it.token({ sub: "user-7", ...claims }));
      expect(assertions).toHaveLength(1);
      const iat = it.clock.now() / 1000;
      expect(await it.verified(text)).toEqual({
        ...{ iss: ISS, aud: it.upstream.url, sub: "user-7", user_iss: ISSUER.iss, iat, exp: iat + 60 },
        ...{ link: LINK_NAME, request_id: requestId },
        ...{ roles: ["a", "b"], org: { id: 7 }, "https://app.example/plan": "pro" },
      });
      expect(decodeProtectedHeader(text)).toEqual({ alg, typ: "conduit-assertion+jwt", kid: "key-1" });
      // Without any JOSE library.
      const [head = "", payload = "", signature = ""] = text.split(".");
      const key = createPublicKey({ key: it.key.jwk, format: "jwk" });
      const digest = alg === "Ed25519" ? null : "sha256";
      const parts = { key, dsaEncoding: "ieee-p1363" } as const;
      expect(verify(digest, Buffer.from(`${head}.${payload}`), parts, Buffer.from(signature, "base64url"))).toBe(true);
    },
  );

  test("has no claim of the person's token in place of its own", async () => {
    const names = ["iss", "aud", "exp", "iat", "nbf", "jti", "link", "request_id", "user_iss"];
    const claimHeaders = names.map((claim) => {
      return { claim, fallbackClaims: [], header: `X-C-${claim.replace("_", "-")}`, ifMissing: "OMIT" } as const;
    });
    await using it = await startLink({ claimHeaders });
    const forged = {
      aud: "elsewhere",
      jti: "j",
      link: "projects/other/links/x",
      request_id: "forged",
      user_iss: "forged",
    };
    const { text, requestId } = await it.call(it.token({ nbf: 1, ...forged }));
    const payload = await it.verified(text);
    expect(payload).toMatchObject({ link: LINK_NAME, request_id: requestId, user_iss: ISSUER.iss });
    expect([payload.nbf, payload.jti]).toEqual([undefined, undefined]);
  });

  test("names nobody when nobody is signed in", async () => {
    await using it = await startLink({ userTokenMode: "OPTIONAL" });
    const head = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: p\r\nConnection: close\r\n`;
    const lines = credentialLines()
      .split("\r\n")
      .filter((line) => line.startsWith("X-Access"))
      .join("");
    await rawExchange(it.proxy.port, `${head}${lines}\r\n\r\n`);
    const [text = ""] = it.upstream.requests[0]?.header("x-conduit-assertion") ?? [];
    const payload = await it.verified(text);
    expect(payload.link).toBe(LINK_NAME);
    expect(Object.keys(payload)).not.toContain("sub");
    expect(Object.keys(payload)).not.toContain("user_iss");
  });

  test("is sent by no link that does not ask for it", async () => {
    await using it = await startLink({ identityAssertion: false });
    expect((await it.call()).assertions).toEqual([]);
  });
});

describe("one is made per token and link", () => {
  test("and sent again for 45 of its 60 seconds, with the id of the request it was made for", async () => {
    await using it = await startLink();
    const jwt = it.token();
    const first = await it.call(jwt);
    it.clock.advance(44_999);
    const second = await it.call(jwt);
    expect(second.text).toBe(first.text);
    expect((await it.verified(second.text)).request_id).toBe(first.requestId);
    it.clock.advance(1);
    const third = await it.call(jwt);
    expect(third.text).not.toBe(first.text);
    expect((await it.verified(third.text)).request_id).toBe(third.requestId);
  });

  test("never for another token, though of the same person", async () => {
    await using it = await startLink();
    const texts = [await it.call(it.token({ jti: "a" })), await it.call(it.token({ jti: "b" }))];
    expect(new Set(texts.map(({ text }) => text)).size).toBe(2);
  });

  test("and no more when the token is revoked, or the key is another", async () => {
    await using it = await startLink();
    const jwt = it.token({ jti: "j-1" });
    const { text } = await it.call(jwt);
    const other = newKey("Ed25519", "key-2");
    it.proxy.put(other.resource);
    const renewed = await it.call(jwt);
    expect(renewed.text).not.toBe(text);
    expect((await it.verified(renewed.text, keySetOf(other))).sub).toBe("user-1");
    revokeToken(it.proxy, "j-1", it.clock.now());
    expect(await it.call(jwt)).toMatchObject({ status: 401, assertions: [] });
  });
});

describe("S15: a client's own X-Conduit-Assertion never passes", () => {
  const spellings = [
    "X-Conduit-Assertion",
    "x-conduit-assertion",
    "X_Conduit_Assertion",
    "X-CONDUIT_ASSERTION",
    "X.Conduit.Assertion",
  ];
  test.each([true, false])("in any spelling, where the link sends one: %s", async (identityAssertion) => {
    await using it = await startLink({ identityAssertion });
    const forged = spellings.flatMap((name) => [`${name}: forged\r\n`, `${name}: forged\r\n`]).join("");
    const listed = "Connection: close, X-Conduit-Assertion\r\n";
    const head = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: p\r\n${listed}${credentialLines(it.token())}${forged}\r\n`;
    expect(statusesOf(await rawExchange(it.proxy.port, head))).toEqual([200]);
    const [seen] = it.upstream.requests;
    expect(JSON.stringify(seen?.headers)).not.toContain("forged");
    expect(seen?.header("x-conduit-assertion")).toHaveLength(identityAssertion ? 1 : 0);
  });
});

describe("S9: an assertion is no user token", () => {
  test.each([undefined, ["conduit-assertion+jwt"]])(
    "of its own link or another, whose issuer has its key (accepted types %j)",
    async (acceptedTypes) => {
      await using it = await startLink();
      const { text } = await it.call();
      const seen = it.upstream.requests.length;
      // The worst case: an issuer of the same name that trusts the very key.
      const issuer = {
        ...{ ...ISSUER, iss: ISS, keys: { kind: "static_keys", text: JSON.stringify(keySetOf(it.key)) } as const },
        algorithms: ["ES256"] as const,
      };
      const types = acceptedTypes === undefined ? {} : { acceptedTypes };
      const trusting: OpenedResource = { kind: "issuer", name: ISSUER_NAME, issuer: { ...issuer, ...types } };
      it.proxy.put(trusting, it.link({ audiences: [it.upstream.url] }));
      const answer = await it.proxy.call("/x", { headers: { authorization: `Bearer ${text}` } });
      // Whoever accepts the type in words gets it; nobody else does.
      expect(answer.headers.get("x-conduit-error")).toBe(acceptedTypes === undefined ? "token_type_mismatch" : null);
      expect(it.upstream.requests.length - seen).toBe(acceptedTypes === undefined ? 0 : 1);
    },
  );
});

test("a link that asks for assertions is not served without the key", async () => {
  await using it = await startLink();
  it.proxy.links.apply([{ kind: "assertion_key", name: KEY_NAME, version: 9n, resource: undefined }]);
  expect((await it.call()).status).toBe(404);
  expect(it.upstream.requests).toEqual([]);
  it.proxy.put(it.key.resource, it.link());
  expect((await it.call()).assertions).toHaveLength(1);
});
