import { describe, expect, test } from "vitest";
import { type RevocableToken, RevocationIndex, type RevocationTarget } from "../../server/src/policy/revocation.ts";
import { NOW_MS, NOW_S } from "../judge/sample.ts";

const token = (change: Partial<RevocableToken> = {}): RevocableToken => ({
  project: "p",
  link: "projects/p/links/l",
  issuer: "projects/p/issuers/i",
  kid: "k1",
  jti: "j1",
  sid: "s1",
  sub: "42",
  iat: NOW_S,
  ...change,
});

const indexOf = (target: RevocationTarget, expireTimeMs = NOW_MS + 1000) => {
  const index = new RevocationIndex();
  index.set("r1", { target, expireTimeMs });
  return index;
};

const ROWS: readonly (readonly [target: RevocationTarget, untouched: Partial<RevocableToken>])[] = [
  [{ kind: "token", project: "p", id: "j1" }, { jti: "j2" }],
  [{ kind: "session", project: "p", id: "s1" }, { sid: "s2" }],
  [{ kind: "key", issuer: "projects/p/issuers/i", kid: "k1" }, { kid: "k2" }],
  [{ kind: "subject", project: "p", issuer: "", subject: "42", issuedBeforeMs: NOW_MS }, { sub: "43" }],
  [
    { kind: "subject", project: "p", issuer: "projects/p/issuers/i", subject: "42", issuedBeforeMs: NOW_MS },
    { issuer: "projects/p/issuers/j" },
  ],
  [{ kind: "issuer", issuer: "projects/p/issuers/i", issuedBeforeMs: NOW_MS }, { issuer: "projects/p/issuers/j" }],
  [{ kind: "link", link: "projects/p/links/l", issuedBeforeMs: NOW_MS }, { link: "projects/p/links/m" }],
];

describe("revocations", () => {
  test.each(ROWS)("%j withdraws what it names and nothing else", (target, untouched) => {
    expect(indexOf(target).isRevoked(token(), NOW_MS)).toBe(true);
    expect(indexOf(target).isRevoked(token(untouched), NOW_MS)).toBe(false);
    expect(indexOf(target).isRevoked({ ...token({ project: "q", issuer: "x", link: "y" }) }, NOW_MS)).toBe(false);
  });

  test.each(ROWS)("%j stops counting at its expiry", (target) => {
    expect(indexOf(target).isRevoked(token(), NOW_MS + 999)).toBe(true);
    expect(indexOf(target).isRevoked(token(), NOW_MS + 1000)).toBe(false);
  });

  test("issued before T: iat ≤ T in whole seconds, and tokens without iat", () => {
    const index = indexOf({ kind: "subject", project: "p", issuer: "", subject: "42", issuedBeforeMs: NOW_MS + 900 });
    const isRevoked = (iat: number | undefined) => index.isRevoked(token({ iat }), NOW_MS);
    expect([NOW_S - 1, NOW_S, NOW_S + 0.5, undefined].map(isRevoked)).toEqual([true, true, true, true]);
    expect(isRevoked(NOW_S + 1)).toBe(false);
  });

  test("several of one target stand side by side, and go by their names", () => {
    const index = indexOf({ kind: "token", project: "p", id: "j1" }, NOW_MS + 1);
    index.set("r2", { target: { kind: "token", project: "p", id: "j1" }, expireTimeMs: NOW_MS + 5000 });
    expect(index.size).toBe(2);
    expect(index.isRevoked(token(), NOW_MS + 10)).toBe(true);
    index.delete("r2");
    index.delete("unknown");
    expect(index.isRevoked(token(), NOW_MS + 10)).toBe(false);
    index.set("r1", { target: { kind: "token", project: "p", id: "j2" }, expireTimeMs: NOW_MS + 5000 });
    expect(index.isRevoked(token(), NOW_MS)).toBe(false);
    expect(index.size).toBe(1);
  });

  test("a claim with line breaks cannot stand for another target", () => {
    const index = indexOf({ kind: "subject", project: "p", issuer: "", subject: "42", issuedBeforeMs: NOW_MS });
    expect(index.isRevoked(token({ sub: "\n42", issuer: "" }), NOW_MS)).toBe(false);
    expect(index.isRevoked(token({ sub: undefined, jti: "j1\n42" }), NOW_MS)).toBe(false);
  });
});
