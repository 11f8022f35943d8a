import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { readStaticKeys } from "../../server/src/jwt/static-keys.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { FITTING_ALGORITHMS } from "../../server/src/model/issuer.ts";
import { fakeClock, goodClaims, keyPair, trust } from "../judge/sample.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";

const [rsa, ec] = [keyPair("RSA", "rsa-1"), keyPair("EC", "ec-1")];
const ALGORITHMS = FITTING_ALGORITHMS.static_keys;
const pemOf = ({ publicKey }: typeof rsa) => publicKey.export({ type: "spki", format: "pem" }).toString();
const problemOf = (text: string) => {
  const read = readStaticKeys(text, ALGORITHMS);
  return "problem" in read ? read.problem : undefined;
};

async function codeOf(text: string, alg: string, pair: typeof rsa, kid?: string) {
  const trusted = trust({ keys: { kind: "static_keys", text }, algorithms: ALGORITHMS });
  const token = await new SignJWT(goodClaims())
    .setProtectedHeader({ alg, ...(kid !== undefined && { kid }) })
    .sign(pair.privateKey);
  const verdict = await verifyToken(token, { issuers: [trusted], audiencesOf: () => undefined }, fakeClock().clock);
  return verdict instanceof TokenFault ? verdict.jwtError : "accepted";
}

describe("a JWK set", () => {
  const set = JSON.stringify({ keys: [rsa.jwk, ec.jwk] });

  test("verifies with the key that the token names", async () => {
    expect(await codeOf(set, "RS512", rsa, "rsa-1")).toBe("accepted");
    expect(await codeOf(set, "ES256", ec, "ec-1")).toBe("accepted");
    expect(await codeOf(set, "ES256", ec, "other")).toBe("Unknown key");
    expect(await codeOf(set, "ES256", keyPair("EC"), "ec-1")).toBe("Invalid signature");
  });

  test("may be one JWK alone", async () => {
    expect(await codeOf(JSON.stringify(ec.jwk), "ES256", ec)).toBe("accepted");
  });

  test("with a private or a shared key is refused in words", () => {
    const { d } = ec.privateKey.export({ format: "jwk" });
    for (const secret of [
      { ...ec.jwk, d },
      { kty: "oct", k: "AAAA" },
      { ...rsa.jwk, p: "AAAA" },
    ]) {
      expect(problemOf(JSON.stringify({ keys: [rsa.jwk, secret] }))).toMatch(/^holds a private key/);
    }
  });

  test.each([
    ["not JSON", "x", /^must be a JWK set/],
    ["no keys member", "{}", /^must be a JWK set/],
    ["an empty set", '{"keys":[]}', /^holds no key/],
    ["a key for encryption", JSON.stringify({ keys: [rsa.jwk, { ...ec.jwk, use: "enc" }] }), /^key 2 cannot be used/],
    ["a curve nobody signs with", JSON.stringify({ kty: "OKP", crv: "X25519", x: "AAAA" }), /^key 1 cannot be used/],
  ])("%s is refused", (_what, text, problem) => {
    expect(problemOf(text)).toMatch(problem);
  });
});

describe("PEM", () => {
  test("one or more public keys verify tokens with any kid", async () => {
    const both = `${pemOf(rsa)}\n${pemOf(ec)}`;
    expect(await codeOf(both, "PS256", rsa, "whatever")).toBe("accepted");
    expect(await codeOf(both, "ES256", ec)).toBe("accepted");
    expect(await codeOf(pemOf(rsa), "ES256", ec)).toBe("Unknown key");
  });

  test("PKCS #1 and certificates give their key", async () => {
    const pkcs1 = rsa.publicKey.export({ type: "pkcs1", format: "pem" }).toString();
    expect(await codeOf(pkcs1, "RS256", rsa)).toBe("accepted");
    expect(problemOf(TLS_PAIR.cert)).toBeUndefined();
  });

  test("a private key is refused in words, whatever its form", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (const type of ["pkcs8", "sec1"] as const) {
      const pem = privateKey.export({ type, format: "pem" }).toString();
      expect(problemOf(pemOf(rsa) + pem)).toMatch(/^holds a private key/);
    }
  });

  test("a broken block is refused, and a key no algorithm can use is named", () => {
    expect(problemOf("-----BEGIN PUBLIC KEY-----\nAAAA")).toMatch(/without its end/);
    expect(problemOf(pemOf(rsa).replace(/\n.{10}/, "\nAAAAAAAAAA"))).toMatch(/^key 1 cannot be used/);
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
    const pem = weak.export({ type: "spki", format: "pem" }).toString();
    expect(problemOf(pemOf(ec) + pem)).toMatch(/^key 2 cannot be used/);
  });
});
