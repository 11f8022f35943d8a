// S7, S8: every algorithm, signed by node:crypto as RFC 7518 says, against every key that is not for it.
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign as nodeSign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import type { TrustedIssuer } from "../../server/src/jwt/trust.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { FITTING_ALGORITHMS, SIGNING_ALGORITHMS, type SigningAlgorithm } from "../../server/src/model/issuer.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { fakeClock, goodClaims, trust } from "../judge/sample.ts";

const SECRET = "VpN3uQ0mT7kR5xW1zB9sD2fG6hJ4lC8aE0yU3iO5pQ7tX1vZ9nM2bK4jH6gF8dS0";
const curve = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
const KEYS: Readonly<Record<string, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  RSA: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "P-256": curve("P-256"),
  "P-384": curve("P-384"),
  "P-521": curve("P-521"),
  Ed25519: generateKeyPairSync("ed25519"),
};
const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

function keyNameOf(algorithm: SigningAlgorithm): string {
  if (algorithm.startsWith("HS")) return "secret";
  if (/^[RP]S/.test(algorithm)) return "RSA";
  return CURVES[algorithm] ?? "Ed25519";
}

function signatureOf(algorithm: SigningAlgorithm, input: string): Buffer {
  const hash = `sha${algorithm.slice(2)}`;
  if (algorithm.startsWith("HS")) return createHmac(hash, SECRET).update(input).digest();
  const key = KEYS[keyNameOf(algorithm)]!.privateKey;
  const data = Buffer.from(input);
  if (algorithm.startsWith("RS")) return nodeSign(hash, data, key);
  // Salt as long as the hash (RFC 7518 3.5): node's padding 6 is PSS, salt length -1 the digest's.
  if (algorithm.startsWith("PS")) return nodeSign(hash, data, { key, padding: 6, saltLength: -1 });
  if (algorithm.startsWith("ES")) return nodeSign(hash, data, { key, dsaEncoding: "ieee-p1363" });
  return nodeSign(null, data, key);
}

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function tokenOf(algorithm: SigningAlgorithm, header: object = {}): string {
  const input = `${part({ alg: algorithm, typ: "at+jwt", ...header })}.${part(goodClaims())}`;
  return `${input}.${signatureOf(algorithm, input).toString("base64url")}`;
}

const jwkOf = (name: string, more: object = {}) => ({ ...KEYS[name]!.publicKey.export({ format: "jwk" }), ...more });

/** An issuer with one key of each kind, for these algorithms. */
function issuerFor(algorithms: readonly SigningAlgorithm[], jwks: readonly object[]): TrustedIssuer {
  const text = JSON.stringify({ keys: jwks });
  return trust({ keys: { kind: "built_in" }, algorithms, acceptedTypes: ["at+jwt"] }, { jwks: text });
}

const secretIssuer = (algorithms: readonly SigningAlgorithm[]) =>
  trust({ algorithms }, { secret: { current: new SecretText(SECRET) } });

async function outcome(token: string, trusted: TrustedIssuer) {
  const verdict = await verifyToken(token, { issuers: [trusted], audiencesOf: () => undefined }, fakeClock().clock);
  return verdict instanceof TokenFault ? verdict.code : "accepted";
}

const ALL_KEYS = Object.keys(KEYS).map((name) => jwkOf(name));
const trustOf = (algorithm: SigningAlgorithm, pinned: readonly SigningAlgorithm[]) =>
  algorithm.startsWith("HS") ? secretIssuer(pinned) : issuerFor(pinned, ALL_KEYS);

describe.each(SIGNING_ALGORITHMS)("%s", (algorithm) => {
  test("S8: a good signature is accepted, a changed one is not", async () => {
    const token = tokenOf(algorithm);
    expect(await outcome(token, trustOf(algorithm, [algorithm]))).toBe("accepted");
    const [head, payload, signature = ""] = token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    bytes[0]! ^= 1;
    const changed = `${head}.${payload}.${bytes.toString("base64url")}`;
    expect(await outcome(changed, trustOf(algorithm, [algorithm]))).toBe("token_signature_invalid");
  });

  test("S7: where it is not pinned it is refused, though a key would fit", async () => {
    const others = SIGNING_ALGORITHMS.filter(
      (it) => it !== algorithm && it.startsWith("HS") === algorithm.startsWith("HS"),
    );
    expect(await outcome(tokenOf(algorithm), trustOf(algorithm, others))).toBe("token_algorithm_refused");
  });

  test("S7: a token that claims another algorithm than it was signed with is refused", async () => {
    const pinned = algorithm.startsWith("HS") ? FITTING_ALGORITHMS.hs256 : FITTING_ALGORITHMS.jwks_url;
    const isSame = (it: SigningAlgorithm) => [it, algorithm].every((one) => ["EdDSA", "Ed25519"].includes(one));
    for (const claimed of pinned.filter((it) => it !== algorithm && !isSame(it))) {
      const verdict = await outcome(tokenOf(algorithm, { alg: claimed }), trustOf(algorithm, pinned));
      expect([claimed, verdict]).toEqual([claimed, "token_signature_invalid"]);
    }
  });
});

test("S7: a JWK's own alg, use and key_ops narrow what its key may do", async () => {
  const issuerWith = (more: object) => issuerFor(FITTING_ALGORITHMS.jwks_url, [jwkOf("RSA", more)]);
  const token = tokenOf("PS384");
  for (const good of [{}, { alg: "PS384" }, { use: "sig" }, { key_ops: ["sign", "verify"] }]) {
    expect([good, await outcome(token, issuerWith(good))]).toEqual([good, "accepted"]);
  }
  for (const bad of [
    { alg: "PS256" },
    { alg: "RSA-OAEP" },
    { alg: 5 },
    { use: "enc" },
    { key_ops: ["sign"] },
    { key_ops: "verify" },
  ]) {
    expect([bad, await outcome(token, issuerWith(bad))]).toEqual([bad, "token_signature_invalid"]);
  }
});

test("S7: an EC key verifies for its own curve only, whatever its JWK says", async () => {
  for (const [algorithm, name] of [
    ["ES256", "P-384"],
    ["ES384", "P-521"],
    ["ES512", "P-256"],
  ] as const) {
    for (const more of [{}, { crv: CURVES[algorithm]! }, { alg: algorithm }]) {
      expect(await outcome(tokenOf(algorithm), issuerFor([algorithm], [jwkOf(name, more)]))).toBe(
        "token_signature_invalid",
      );
    }
  }
});

test("S7: no public key, in any form, is ever the secret of a MAC", async () => {
  const { publicKey } = KEYS.RSA!;
  const forms = [
    publicKey.export({ type: "spki", format: "pem" }),
    publicKey.export({ type: "pkcs1", format: "pem" }),
    publicKey.export({ type: "spki", format: "der" }),
    JSON.stringify(jwkOf("RSA")),
  ];
  for (const hash of ["256", "384", "512"]) {
    for (const secret of forms) {
      const input = `${part({ alg: `HS${hash}`, typ: "at+jwt" })}.${part(goodClaims())}`;
      const token = `${input}.${createHmac(`sha${hash}`, secret).update(input).digest("base64url")}`;
      expect(await outcome(token, issuerFor(FITTING_ALGORITHMS.jwks_url, ALL_KEYS))).toBe("token_algorithm_refused");
      // Even if the configuration had let it in, a published key is imported for nothing but its own algorithms.
      expect(await outcome(token, issuerFor([...SIGNING_ALGORITHMS], ALL_KEYS))).toBe("token_signature_invalid");
    }
  }
});

test("S19: keys that are weak, huge or absurd are left out of a set", async () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" });
  const { n } = jwkOf("RSA");
  const exponentOne = { kty: "RSA", n, e: "AQ" };
  const even = { kty: "RSA", n, e: Buffer.from([1, 0, 0]).toString("base64url") };
  const huge = { kty: "RSA", n: Buffer.alloc(2048, 0xff).toString("base64url"), e: "AQAB" };
  const offCurve = { ...jwkOf("P-256"), x: Buffer.alloc(32, 1).toString("base64url") };
  const issuer = issuerFor(FITTING_ALGORITHMS.jwks_url, [weak, exponentOne, even, huge, offCurve]);
  for (const algorithm of ["RS256", "PS256", "ES256"] as const) {
    expect(issuer.keys.current()?.find(algorithm, undefined)).toEqual([]);
  }
});

test("the private half of a published JWK is not read", () => {
  const published = { ...KEYS["P-256"]!.privateKey.export({ format: "jwk" }), kid: "k" };
  const [key] = issuerFor(["ES256"], [published]).keys.current()?.find("ES256", "k") ?? [];
  expect([key?.type, key?.usages]).toEqual(["public", ["verify"]]);
  expect(createPublicKey(KEYS["P-256"]!.privateKey).equals(KEYS["P-256"]!.publicKey)).toBe(true);
});
