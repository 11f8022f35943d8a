import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { hmacSecretProblem } from "../../server/src/policy/hmac-secret.ts";
import { isGuessable } from "../../server/src/policy/secret-strength.ts";

const problemOf = (text: string, bytes: Uint8Array | undefined = Buffer.from(text)) =>
  hmacSecretProblem(text, bytes, ["HS256"], isGuessable);

test.each([
  "short",
  "x".repeat(31),
  "a".repeat(64),
  "password".repeat(5),
  "correcthorsebatterystaple".repeat(2),
  "abcdefghijklmnopqrstuvwxyz0123456789",
  "0123456789012345678901234567890123456789",
  "your-super-secret-jwt-token-with-at-least-32-characters-long",
  "a-string-secret-at-least-256-bits-long",
  "please-CHANGE-ME-before-you-go-to-production",
  `-----BEGIN PUBLIC KEY-----\n${randomBytes(64).toString("base64")}\n-----END PUBLIC KEY-----`,
  JSON.stringify({ keys: [{ kty: "RSA", n: randomBytes(64).toString("base64url"), e: "AQAB" }] }),
  JSON.stringify({ n: randomBytes(64).toString("base64url"), kty: "RSA" }),
  `ssh-ed25519 ${randomBytes(40).toString("base64")}`,
  "correct-horse-battery-staple-correct",
  "MySuperSecretPasswordForMyApplication2024!",
  "my-jwt-signing-key-for-production-2025",
  "qwertyuiopasdfghjklzxcvbnm1234567890",
  "thequickbrownfoxjumpsoverthelazydog",
])("S12: %j is refused, without being repeated", (text) => {
  expect(problemOf(text)).toMatch(/^(must|is) /);
  expect(problemOf(text)).not.toContain(text);
});

test("a secret that is not in its encoding is refused", () => {
  expect(hmacSecretProblem("x", undefined, ["HS256"], isGuessable)).toMatch(/encoding/);
});

test("random secrets pass, as bytes, hex and base64", () => {
  for (let round = 0; round < 12; round += 1) {
    const bytes = randomBytes(32);
    expect(problemOf(bytes.toString("hex"), bytes)).toBeUndefined();
    expect(problemOf(bytes.toString("hex"))).toBeUndefined();
    expect(problemOf(bytes.toString("base64url"))).toBeUndefined();
    expect(problemOf(bytes.subarray(0, 16).toString("hex"))).toBeUndefined();
  }
});

test("S12: words stay words in base64; twelve words by dice pass, and random bytes after a name", () => {
  const words = Buffer.from("correct horse battery staple correct horse");
  expect(problemOf(words.toString("base64"), words)).toMatch(/easy to guess/);
  expect(
    problemOf("trombone plastic unlikely harbor cement violin scatter amaze gravel mustard onyx ferry"),
  ).toBeUndefined();
  for (const bytes of [randomBytes(16), randomBytes(24)]) {
    expect(problemOf(`conduit-test-${bytes.toString("hex")}`)).toBeUndefined();
    expect(problemOf(`demo-secret-${bytes.toString("base64url")}-key`)).toBeUndefined();
  }
});

test.each([
  ["HS256", 32],
  ["HS384", 48],
  ["HS512", 64],
] as const)("S12: %s needs %d bytes, and the refusal says how to get them", (algorithm, minBytes) => {
  const judge = (length: number) => {
    const bytes = randomBytes(length);
    return hmacSecretProblem(bytes.toString("base64"), bytes, ["HS256", algorithm], isGuessable);
  };
  expect(judge(minBytes)).toBeUndefined();
  expect(judge(minBytes - 1)).toBe(
    `must have at least ${minBytes} bytes (RFC 7518 3.2): use random bytes, as from \`openssl rand -base64 ${minBytes}\``,
  );
});
