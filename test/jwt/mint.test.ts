import { createHmac, createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { inspect } from "node:util";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, test } from "vitest";
import {
  type AccessTokenContent,
  mintAccessToken,
  RESERVED_CLAIMS,
  signWithSecret,
} from "../../server/src/jwt/mint.ts";
import { generateSigningKey, importSigningKey, jwksText } from "../../server/src/jwt/signing-key.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { fakeClock, NOW_MS, NOW_S, SECRET, trust } from "../judge/sample.ts";

const LINK = "projects/p/links/shop-abcd1234";
const content = (change: Partial<AccessTokenContent> = {}): AccessTokenContent => ({
  issuer: "https://conduit.example/p/p",
  subject: "auth0|42",
  audiences: [LINK],
  clientId: "projects/p/apiKeys/k",
  tokenId: "0190-1",
  issuedAtMs: NOW_MS + 400,
  lifetimeMs: 900_000,
  scope: "read write",
  roles: ["admin"],
  claims: { email: "a@b.example", o: { x: 1 } },
  ...change,
});

const stored = await generateSigningKey();
const key = importSigningKey(stored.kid, stored.privateJwk);

describe("signing keys", () => {
  test("the kid is the RFC 7638 thumbprint of the public half", async () => {
    const { kty, crv, x, y } = JSON.parse(stored.publicJwk) as Record<string, string>;
    const canonical = JSON.stringify({ crv, kty, x, y });
    const { createHash } = await import("node:crypto");
    expect(stored.kid).toBe(createHash("sha256").update(canonical).digest("base64url"));
    expect(JSON.parse(stored.publicJwk)).toMatchObject({
      kty: "EC",
      crv: "P-256",
      alg: "ES256",
      use: "sig",
      kid: stored.kid,
    });
  });

  test("the private half is in no public text, and the imported key does not show it", () => {
    const { d } = JSON.parse(stored.privateJwk.reveal()) as Record<string, string>;
    expect(d).toMatch(/^[\w-]{43}$/);
    expect(jwksText([stored.publicJwk])).not.toContain(d);
    expect(JSON.stringify(stored)).not.toContain(d);
    expect(`${JSON.stringify(key)}${inspect(key, { depth: 9 })}`).not.toContain(d);
  });

  test("a public key cannot be imported to sign", async () => {
    const { SecretText } = await import("../../server/src/model/secret-text.ts");
    expect(() => importSigningKey("k", new SecretText(stored.publicJwk))).toThrow(TypeError);
  });
});

describe("access tokens", () => {
  test("a minted token is an RFC 9068 access token", () => {
    const { token, expireTimeMs } = mintAccessToken(key, content({ session: "s1" }));
    expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "at+jwt", kid: stored.kid });
    expect(decodeJwt(token)).toEqual({
      iss: "https://conduit.example/p/p",
      sub: "auth0|42",
      aud: [LINK],
      client_id: "projects/p/apiKeys/k",
      jti: "0190-1",
      iat: NOW_S,
      exp: NOW_S + 900,
      scope: "read write",
      roles: ["admin"],
      sid: "s1",
      email: "a@b.example",
      o: { x: 1 },
    });
    expect(expireTimeMs).toBe((NOW_S + 900) * 1000);
  });

  test("every signature is 64 bytes, also where a half begins with zeros", () => {
    const publicKey = createPublicKey({ key: JSON.parse(stored.publicJwk) as JsonWebKey, format: "jwk" });
    const zeros = Array.from({ length: 1_500 }, () => {
      const [head, payload, text = ""] = mintAccessToken(key, content()).token.split(".");
      const signature = Buffer.from(text, "base64url");
      const input = Buffer.from(`${head}.${payload}`);
      expect(verify("sha256", input, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
      expect(signature).toHaveLength(64);
      return signature[0] === 0 || signature[32] === 0;
    });
    // Of 128 signatures one has such a half: that none of 1,500 had happens once in 100,000 runs.
    expect(zeros).toContain(true);
  });

  test("what is empty is no claim", () => {
    const { token } = mintAccessToken(key, content({ scope: "", roles: [], claims: {} }));
    expect(Object.keys(decodeJwt(token)).sort()).toEqual(["aud", "client_id", "exp", "iat", "iss", "jti", "sub"]);
  });

  test.each(RESERVED_CLAIMS)("the claim %s cannot be set by the caller", (name) => {
    expect(() => mintAccessToken(key, content({ claims: { [name]: "x" } }))).toThrow(TypeError);
  });

  test("our verifier accepts it for its links, and nobody else's key", async () => {
    const issuer = {
      iss: "https://conduit.example/p/p",
      keys: { kind: "built_in" },
      algorithms: ["ES256"],
      expLeewayMs: 0,
    } as const;
    const other = await generateSigningKey();
    const policyOf = (jwk: string, audience: string) => ({
      issuers: [trust(issuer, { jwks: jwksText([jwk]) })],
      audiencesOf: () => ({ names: [audience], needsAll: false }),
    });
    const { token } = mintAccessToken(key, content());
    const verdictOf = async (policy: ReturnType<typeof policyOf>) => {
      const verdict = await verifyToken(token, policy, fakeClock().clock);
      return verdict instanceof TokenFault ? verdict.code : verdict.claims.sub;
    };
    expect(await verdictOf(policyOf(stored.publicJwk, LINK))).toBe("auth0|42");
    expect(await verdictOf(policyOf(stored.publicJwk, "projects/p/links/other"))).toBe("token_audience_mismatch");
    expect(await verdictOf(policyOf(other.publicJwk, LINK))).toBe("token_signature_invalid");
  });
});

test("a token signed with a secret is plain HS256", async () => {
  const token = await signWithSecret(Buffer.from(SECRET), { sub: "42" });
  const [head, payload, signature] = token.split(".");
  expect(createHmac("sha256", SECRET).update(`${head}.${payload}`).digest("base64url")).toBe(signature);
});
