import { createHmac, createSign, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import type { TrustedIssuer } from "../../server/src/jwt/trust.ts";
import { type VerifyPolicy, verifyToken } from "../../server/src/jwt/verify.ts";
import type { Issuer, SigningAlgorithm } from "../../server/src/model/issuer.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { fakeClock, forge, goodClaims, ISS, keyPair, NOW_MS, NOW_S, SECRET, sign, trust } from "../judge/sample.ts";

const policyOf = (issuers: readonly TrustedIssuer[], names?: readonly string[], needsAll = false): VerifyPolicy => ({
  issuers,
  audiencesOf: () => names && { names, needsAll },
});

async function outcome(token: string, policy = policyOf([trust()]), atMs = NOW_MS) {
  const verdict = await verifyToken(token, policy, fakeClock(atMs).clock);
  return verdict instanceof TokenFault ? `${verdict.code}: ${verdict.jwtError}` : "accepted";
}

const judgeClaims = async (change: Record<string, unknown>, issuer: Partial<Issuer> = {}, atMs = NOW_MS, header = {}) =>
  outcome(await sign(goodClaims(change), header), policyOf([trust(issuer)]), atMs);

/** An issuer with published keys; `built_in` takes them as text, which is all that matters here. */
const published = (jwks: readonly object[], algorithms: readonly SigningAlgorithm[], change: Partial<Issuer> = {}) =>
  trust({ keys: { kind: "built_in" }, algorithms, ...change }, { jwks: JSON.stringify({ keys: jwks }) });

const signWith = (key: KeyObject, alg: string, claims = goodClaims(), kid?: string) =>
  new SignJWT(claims).setProtectedHeader({ alg, typ: "at+jwt", ...(kid !== undefined && { kid }) }).sign(key);

describe("S9: time", () => {
  test.each([
    ["valid", {}, {}, NOW_MS, "accepted"],
    ["the last millisecond of the leeway", { exp: NOW_S }, {}, NOW_MS + 4_999, "accepted"],
    ["the end of the leeway", { exp: NOW_S }, {}, NOW_MS + 5_000, "token_expired: Token expired"],
    ["no leeway, a millisecond before", { exp: NOW_S }, { expLeewayMs: 0 }, NOW_MS - 1, "accepted"],
    ["no leeway, at exp", { exp: NOW_S }, { expLeewayMs: 0 }, NOW_MS, "token_expired: Token expired"],
    ["a fraction of a second", { exp: NOW_S + 0.5 }, { expLeewayMs: 0 }, NOW_MS + 499, "accepted"],
    ["negative exp", { exp: -1 }, {}, NOW_MS, "token_expired: Token expired"],
    ["nbf within the leeway", { nbf: NOW_S + 60 }, {}, NOW_MS, "accepted"],
    ["nbf beyond it", { nbf: NOW_S + 61 }, {}, NOW_MS, "token_not_yet_valid: Token not yet valid"],
    [
      "iat beyond it",
      { iat: NOW_S + 60 },
      { clockLeewayMs: 59_999 },
      NOW_MS,
      "token_not_yet_valid: Token not yet valid",
    ],
    ["24 hours", { exp: NOW_S + 86_400 }, {}, NOW_MS, "accepted"],
    ["no exp", { exp: undefined }, {}, NOW_MS, "token_claim_missing: Missing required claim: exp"],
    ["no exp, allowed", { exp: undefined, iat: NOW_S }, { maxAgeWithoutExpMs: 1000 }, NOW_MS + 5_999, "accepted"],
    [
      "no exp, too old",
      { exp: undefined, iat: NOW_S },
      { maxAgeWithoutExpMs: 1000 },
      NOW_MS + 6_000,
      "token_expired: Token expired",
    ],
    [
      "neither exp nor iat",
      { exp: undefined, iat: undefined },
      { maxAgeWithoutExpMs: 1000 },
      NOW_MS,
      "token_claim_missing: Missing required claim: iat",
    ],
    ["no iat", { iat: undefined }, {}, NOW_MS, "accepted"],
    ["exp as text", { exp: String(NOW_S + 900) }, {}, NOW_MS, "token_claim_invalid: Invalid claim: exp"],
    ["exp null", { exp: null }, {}, NOW_MS, "token_claim_invalid: Invalid claim: exp"],
    ["nbf as text", { nbf: "0" }, {}, NOW_MS, "token_claim_invalid: Invalid claim: nbf"],
    ["iat as object", { iat: {} }, {}, NOW_MS, "token_claim_invalid: Invalid claim: iat"],
  ])("%s", async (_name, claims, issuer, atMs, expected) => {
    expect(await judgeClaims(claims, issuer, atMs)).toBe(expected);
  });

  test("a number too large for JavaScript is no end at all", async () => {
    const head = `${Buffer.from('{"alg":"HS256"}').toString("base64url")}.${Buffer.from(`{"iss":"${ISS}","exp":1e999}`).toString("base64url")}`;
    const token = `${head}.${createHmac("sha256", SECRET).update(head).digest("base64url")}`;
    expect(await outcome(token)).toBe("token_claim_invalid: Invalid claim: exp");
  });
});

describe("S9: kinds of tokens", () => {
  test.each([
    [{ typ: undefined }, "accepted"],
    [{ typ: "jwt" }, "accepted"],
    [{ typ: "application/JWT" }, "accepted"],
    [{ typ: "at+jwt" }, "accepted"],
    [{ typ: "application/at+JWT" }, "accepted"],
    [{ typ: "logout+jwt" }, "token_type_mismatch: Wrong token type"],
    [{ typ: "dpop+jwt" }, "token_type_mismatch: Wrong token type"],
    [{ typ: "" }, "token_type_mismatch: Wrong token type"],
  ])("header %j: %s", async (header, expected) => {
    expect(await judgeClaims({}, {}, NOW_MS, header)).toBe(expected);
  });

  test.each([{ nonce: "x" }, { at_hash: "x" }, { c_hash: "x" }, { token_use: "id" }, { nonce: null }])(
    "an ID token (%j) is told apart, even with another audience or expired",
    async (mark) => {
      const token = await sign(goodClaims({ ...mark, aud: "client", exp: NOW_S - 60 }));
      const fault = await verifyToken(token, policyOf([trust()], ["api"]), fakeClock().clock);
      expect(fault).toMatchObject({
        code: "token_type_mismatch",
        jwtError: "Wrong token type",
        texts: { detail: "This is an ID token; send the access token" },
      });
      expect(await judgeClaims(mark, { acceptIdTokens: true })).toBe("accepted");
    },
  );

  test("an access token that says so is none", async () => {
    expect(await judgeClaims({ token_use: "access" })).toBe("accepted");
  });

  test("sub is a string or absent", async () => {
    expect(await judgeClaims({ sub: undefined })).toBe("accepted");
    for (const sub of [42, null, ["42"], { a: 1 }, true]) {
      expect(await judgeClaims({ sub })).toBe("token_claim_invalid: Invalid claim: sub");
    }
    const fault = await verifyToken(await sign(goodClaims({ sub: 42 })), policyOf([trust()]), fakeClock().clock);
    expect(fault).toMatchObject({ texts: { detail: "Invalid claim: sub must be a string" } });
  });
});

describe("S9: audience", () => {
  test.each([
    ["api", "accepted"],
    [["x", "api"], "accepted"],
    [["x"], "token_audience_mismatch: Invalid audience"],
    ["api2", "token_audience_mismatch: Invalid audience"],
    [undefined, "token_audience_mismatch: Invalid audience"],
    [[], "token_audience_mismatch: Invalid audience"],
    [["api", 1], "token_claim_invalid: Invalid claim: aud"],
    [{ api: 1 }, "token_claim_invalid: Invalid claim: aud"],
  ])("%j for the audiences api and other: %s", async (aud, expected) => {
    expect(await outcome(await sign(goodClaims({ aud })), policyOf([trust()], ["api", "other"]))).toBe(expected);
  });
});

describe("S9: issuer", () => {
  test.each([
    [ISS, "accepted"],
    [ISS.slice(0, -1), "token_issuer_unknown: Invalid issuer"],
    [ISS.toUpperCase(), "token_issuer_unknown: Invalid issuer"],
    [undefined, "token_issuer_unknown: Invalid issuer"],
    ["", "token_issuer_unknown: Invalid issuer"],
    [7, "token_claim_invalid: Invalid claim: iss"],
  ])("iss %j: %s", async (iss, expected) => {
    expect(await judgeClaims({ iss })).toBe(expected);
  });

  test("an issuer with an empty iss takes tokens with any or none, but none that another is named for", async () => {
    const any = trust({ iss: "" });
    for (const iss of [undefined, "", "https://x.example"]) {
      expect(await outcome(await sign(goodClaims({ iss })), policyOf([any]))).toBe("accepted");
    }
    const named = trust({}, { secret: { current: new SecretText("another secret of thirty-two bytes or more") } });
    expect(await outcome(await sign(goodClaims()), policyOf([any, named]))).toBe(
      "token_signature_invalid: Invalid signature",
    );
  });

  test("of two issuers with one iss the one that knows the kid is asked", async () => {
    const [one, two] = [keyPair("EC", "one"), keyPair("EC", "two")];
    const policy = policyOf([published([one.jwk], ["ES256"]), published([two.jwk], ["ES256"])]);
    expect(await outcome(await signWith(one.privateKey, "ES256", goodClaims(), "one"), policy)).toBe("accepted");
    expect(await outcome(await signWith(two.privateKey, "ES256", goodClaims(), "two"), policy)).toBe("accepted");
    expect(await outcome(await signWith(two.privateKey, "ES256", goodClaims(), "one"), policy)).toMatch(
      /Invalid signature/,
    );
  });
});

describe("S7: signatures", () => {
  const ec = keyPair("EC", "ec");
  const rsa = keyPair("RSA", "rsa");
  const ed = keyPair("OKP", "ed");
  const all = published([ec.jwk, rsa.jwk, ed.jwk], ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]);

  test.each([
    ["RS256", rsa],
    ["PS256", rsa],
    ["ES256", ec],
    ["EdDSA", ed],
    ["Ed25519", ed],
  ])("%s is accepted with and without kid, and only with its own key", async (alg, { privateKey, jwk }) => {
    expect(await outcome(await signWith(privateKey, alg, goodClaims(), jwk.kid as string), policyOf([all]))).toBe(
      "accepted",
    );
    expect(await outcome(await signWith(privateKey, alg), policyOf([all]))).toBe("accepted");
    const other = await signWith(privateKey, alg, goodClaims(), "other");
    expect(await outcome(other, policyOf([all]))).toBe("token_signature_invalid: Unknown key");
  });

  test("what the configuration does not list is refused, whatever the key could do", async () => {
    const token = await signWith(rsa.privateKey, "PS256");
    expect(await outcome(token, policyOf([published([rsa.jwk], ["RS256"])]))).toBe(
      "token_algorithm_refused: Algorithm not allowed: PS256",
    );
  });

  test("a key that says its algorithm verifies no other", async () => {
    const pinned = published([{ ...rsa.jwk, alg: "RS256" }], ["RS256", "PS256"]);
    expect(await outcome(await signWith(rsa.privateKey, "RS256"), policyOf([pinned]))).toBe("accepted");
    expect(await outcome(await signWith(rsa.privateKey, "PS256"), policyOf([pinned]))).toMatch(/Unknown key/);
  });

  test.each<[string, object]>([
    ["for encryption", { ...rsa.jwk, use: "enc" }],
    ["not for verifying", { ...rsa.jwk, key_ops: ["encrypt"] }],
    ["with a kid that is no text", { ...rsa.jwk, kid: 7 }],
    ["broken", { ...rsa.jwk, n: "!!" }],
    ["of another curve", { ...ec.jwk, crv: "P-384" }],
    ["symmetric", { kty: "oct", k: Buffer.from(SECRET).toString("base64url") }],
  ])("a published key that is %s is not used", async (_name, jwk) => {
    const policy = policyOf([published([jwk], ["RS256", "ES256"])]);
    expect(await outcome(await signWith(rsa.privateKey, "RS256"), policy)).toMatch(/Unknown key/);
  });

  test("`none` in any spelling is refused by the algorithm rule", async () => {
    for (const alg of ["none", "None", "NONE", "nOnE"]) {
      for (const signature of ["", "AAAA"]) {
        const token = forge({ alg }, goodClaims(), signature);
        expect(await outcome(token)).toBe(`token_algorithm_refused: Algorithm not allowed: ${alg}`);
      }
    }
    expect(await outcome(forge({ alg: 'x"\r\nSet-Cookie: a' }, goodClaims()))).toMatch(/not allowed: unknown$/);
  });

  test("a public key is never taken for a secret", async () => {
    const head = forge({ alg: "HS256", typ: "at+jwt", kid: "rsa" }, goodClaims(), "").slice(0, -1);
    const pem = rsa.publicKey.export({ format: "pem", type: "spki" });
    for (const secret of [pem, pem.toString().trim(), JSON.stringify(rsa.jwk), rsa.jwk.n as string]) {
      const token = `${head}.${createHmac("sha256", secret).update(head).digest("base64url")}`;
      expect(await outcome(token, policyOf([all]))).toBe("token_algorithm_refused: Algorithm not allowed: HS256");
      expect(await outcome(token)).toBe("token_signature_invalid: Invalid signature");
    }
  });

  test("an ES256 signature in DER form is refused", async () => {
    const head = forge({ alg: "ES256", typ: "at+jwt" }, goodClaims(), "").slice(0, -1);
    const der = createSign("sha256").update(head).sign(ec.privateKey).toString("base64url");
    expect(await outcome(`${head}.${der}`, policyOf([all]))).toMatch(/Invalid signature/);
  });

  test("both versions of a secret verify; a third does not", async () => {
    const secrets = ["a", "b", "c"].map((letter) => `${letter}-secret of thirty-two bytes or more`);
    const [current, next] = secrets.map((text) => new SecretText(text));
    const policy = policyOf([trust({}, { secret: { current: current!, next: next! } })]);
    const outcomes = await Promise.all(
      secrets.map(async (text) => outcome(await sign(goodClaims(), {}, text), policy)),
    );
    expect(outcomes).toEqual(["accepted", "accepted", "token_signature_invalid: Invalid signature"]);
  });

  test.each([
    ["BASE64", Buffer.from(SECRET).toString("base64")],
    ["BASE64", Buffer.from(SECRET).toString("base64url")],
    ["HEX", Buffer.from(SECRET).toString("hex")],
  ] as const)("a secret in %s means its bytes", async (encoding, text) => {
    const keys = { kind: "hs256", secret: "s", encoding } as const;
    expect(
      await outcome(
        await sign(goodClaims()),
        policyOf([trust({ keys }, { secret: { current: new SecretText(text) } })]),
      ),
    ).toBe("accepted");
    expect(() => trust({ keys }, { secret: { current: new SecretText("?") } })).toThrow(/secret/);
  });

  test("no token that was changed in any character is accepted", async () => {
    const token = await sign(goodClaims());
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(..."ABab01-_.="), async (at, letter) => {
        fc.pre(token[at] !== letter);
        expect(await outcome(token.slice(0, at) + letter + token.slice(at + 1))).not.toBe("accepted");
      }),
      { numRuns: 500 },
    );
  });

  test("no fault tells a signature, a key or the secret", async () => {
    const token = await sign(goodClaims({ aud: "x" }), { kid: "k" }, "wrong secret wrong secret wrong secret");
    const fault = await verifyToken(token, policyOf([trust()], ["api"]), fakeClock().clock);
    expect(JSON.stringify(fault)).not.toContain(SECRET);
    expect(JSON.stringify(fault)).not.toContain(token.split(".")[2]);
  });
});
