// verifyAssertion against what jose signs, and against what a proxy signs.
import { createPublicKey } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { assertionKeys, IdentityAssertionError, verifyAssertion } from "../../../sdk/src/server/index.ts";
import { readAssertionKey, signAssertion } from "../../../server/src/jwt/assertion.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import type { BuiltInAlgorithm } from "../../../server/src/model/signing-key.ts";

const ISSUER = "https://control.example/p/demo";
const AUDIENCE = "https://api.example";
const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1000;
const options = { issuer: ISSUER, audience: AUDIENCE, now: () => NOW_MS };
const HEADER = { alg: "ES256", typ: "conduit-assertion+jwt", kid: "k1" };
const CLAIMS = {
  ...{ iss: ISSUER, aud: AUDIENCE, sub: "user-1", iat: NOW, exp: NOW + 60 },
  ...{ link: "projects/demo/links/orders", request_id: "r-1" },
};

async function newKey(alg = "ES256", kid = "k1") {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: "sig" };
  return { privateKey, jwk, keys: { keys: [jwk] } };
}
const key = await newKey();
const sign = (claims: object = {}, header: object = {}, by = key.privateKey) =>
  new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader({ ...HEADER, ...header }).sign(by);
const verify = (assertion: string | null, more: object = {}) =>
  verifyAssertion(assertion, { ...options, keys: key.keys, ...more });

describe("verifyAssertion", () => {
  test.each(["ES256", "Ed25519", "RS256"] as const)("accepts what a proxy signs with %s", async (algorithm) => {
    const { privateKey, keys } = await newKey(algorithm);
    const jwk = new SecretText(JSON.stringify(await exportJWK(privateKey)));
    const parts = { iss: ISSUER, kid: "k1", algorithm: algorithm as BuiltInAlgorithm };
    const content = {
      audience: AUDIENCE,
      claims: { roles: ["a"] },
      subject: "user-1",
      userIssuer: "https://idp.example",
    };
    const request = { link: CLAIMS.link, requestId: "r-1" };
    const text = signAssertion(readAssertionKey(parts, jwk), { ...content, ...request }, NOW_MS);
    expect(await verifyAssertion(text, { ...options, keys })).toEqual({
      ...CLAIMS,
      roles: ["a"],
      user_iss: "https://idp.example",
    });
  });

  test.each<[string, object, object, string]>([
    ["another issuer's", { iss: "https://control.example/p/other" }, {}, "Invalid issuer"],
    ["another upstream's", { aud: "https://other.example" }, {}, "Invalid audience"],
    ["an expired one", { exp: NOW - 5 }, {}, "Assertion expired"],
    ["one without exp", { exp: undefined }, {}, "Assertion expired"],
    ["one of later", { iat: NOW + 6 }, {}, "Assertion not yet valid"],
    ["one of nobody", { sub: undefined }, {}, "Invalid claim: sub"],
    ["one without a link", { link: undefined }, {}, "Invalid claim: link"],
    ["an access token", {}, { typ: "at+jwt" }, "Wrong assertion type"],
    ["one with an extension", {}, { crit: ["b64"], b64: true }, "Malformed assertion"],
    ["one of an unknown key", {}, { kid: "k2" }, "Unknown key"],
  ])("refuses %s", async (_what, claims, header, message) => {
    await expect(sign(claims, header).then(verify)).rejects.toThrow(new IdentityAssertionError(message));
  });

  test("refuses other signatures, other algorithms, and what is no assertion", async () => {
    const other = await newKey();
    await expect(verify(await sign({}, {}, other.privateKey))).rejects.toThrow("Invalid signature");
    const hmac = new SignJWT(CLAIMS).setProtectedHeader({ ...HEADER, alg: "HS256" });
    const publicPem = createPublicKey({ key: key.jwk as never, format: "jwk" }).export({ type: "spki", format: "pem" });
    await expect(hmac.sign(Buffer.from(publicPem)).then(verify)).rejects.toThrow("Unknown key");
    const [, payload, signature] = (await sign()).split(".");
    const none = Buffer.from(JSON.stringify({ ...HEADER, alg: "none" })).toString("base64url");
    await expect(verify(`${none}.${payload}.`)).rejects.toThrow("Unknown key");
    await expect(verify(`${none}.${payload}.${signature}=`)).rejects.toThrow("Malformed assertion");
    await expect(verify(null)).rejects.toThrow("Missing assertion");
    await expect(verifyAssertion(["a", "b"], options)).rejects.toThrow("Malformed assertion");
  });

  test("accepts nobody, and only some links, where that is said in words", async () => {
    expect(await verify(await sign({ sub: undefined }), { allowAnonymous: true })).toMatchObject({ link: CLAIMS.link });
    expect(await verify(await sign(), { link: ["projects/demo/links/x", CLAIMS.link] })).toMatchObject({
      sub: "user-1",
    });
    await expect(verify(await sign(), { link: "projects/demo/links/x" })).rejects.toThrow("Invalid link");
  });

  test("holds for its 60 seconds and the leeway, to the second", async () => {
    const text = await sign();
    expect(await verify(text, { now: () => NOW_MS + 64_999 })).toMatchObject({ sub: "user-1" });
    await expect(verify(text, { now: () => NOW_MS + 65_000 })).rejects.toThrow("Assertion expired");
    await expect(verify(text, { now: () => NOW_MS + 60_000, leewaySeconds: 0 })).rejects.toThrow("Assertion expired");
  });
});

describe("assertionKeys", () => {
  /** An issuer that serves these keys; `undefined` = it is away. */
  function startIssuer(first: JWK) {
    const it = { served: [first] as JWK[] | undefined, urls: [] as string[], nowMs: NOW_MS };
    const fetch: typeof globalThis.fetch = async (url, init) => {
      it.urls.push(String(url));
      expect(init?.redirect).toBe("manual");
      if (it.served === undefined) throw new TypeError("fetch failed");
      return Response.json({ keys: it.served });
    };
    const keys = assertionKeys({ issuer: ISSUER, fetch, now: () => it.nowMs });
    const check = (assertion: string) => verifyAssertion(assertion, { ...options, keys });
    return { it, check };
  }

  test("are fetched once for many assertions, and again for a new key, at most every 30 s", async () => {
    const { it, check } = startIssuer(key.jwk);
    const text = await sign();
    await Promise.all(Array.from({ length: 20 }, () => check(text)));
    expect(it.urls).toEqual([`${ISSUER}/.well-known/jwks.json`]);
    const next = await newKey("Ed25519", "k2");
    const signed = await sign({}, { alg: "Ed25519", kid: "k2" }, next.privateKey);
    it.served = [key.jwk, next.jwk];
    await expect(check(signed)).rejects.toThrow("Unknown key");
    it.nowMs += 30_000;
    expect(await check(signed)).toMatchObject({ sub: "user-1" });
    expect(it.urls).toHaveLength(2);
  });

  test("that left the set count no more after 10 minutes, and those of an issuer that is away for a day", async () => {
    const { it, check } = startIssuer(key.jwk);
    const text = await sign();
    await check(text);
    it.served = undefined;
    it.nowMs += 24 * 60 * 60_000 - 1;
    expect(await check(text)).toMatchObject({ sub: "user-1" });
    it.nowMs += 60_000;
    await expect(check(text)).rejects.toThrow("fetch failed");
    it.served = [(await newKey("ES256", "k3")).jwk];
    it.nowMs += 30_000;
    await expect(check(text)).rejects.toThrow("Unknown key");
  });

  test("come over https, or from loopback", () => {
    expect(() => assertionKeys({ issuer: "http://control.example/p/demo" })).toThrow("must be https");
    expect(() => assertionKeys({ issuer: "http://127.0.0.1:8081/p/demo" })).not.toThrow();
  });
});
