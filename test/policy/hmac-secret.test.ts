import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { hmacSecretProblem } from "../../server/src/policy/hmac-secret.ts";

const problemOf = (text: string) => hmacSecretProblem(text, Buffer.from(text));

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
])("%j is refused, without being repeated", (text) => {
  expect(problemOf(text)).toMatch(/^(must|is) /);
  expect(problemOf(text)).not.toContain(text);
});

test("a secret that is not in its encoding is refused", () => {
  expect(hmacSecretProblem("x", undefined)).toMatch(/encoding/);
});

test("random secrets pass, as bytes, hex and base64", () => {
  for (let round = 0; round < 500; round += 1) {
    const bytes = randomBytes(32);
    expect(hmacSecretProblem(bytes.toString("hex"), bytes)).toBeUndefined();
    expect(problemOf(bytes.toString("hex"))).toBeUndefined();
    expect(problemOf(bytes.toString("base64url"))).toBeUndefined();
  }
});
