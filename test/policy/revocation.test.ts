import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import {
  keyOfTarget,
  keysOfToken,
  type RevocableToken,
  type RevocationEntry,
  type RevocationTarget,
  revocationEntryOf,
  revocationStreamName,
} from "../../server/src/model/revocation.ts";
import { isHoldable, RevocationIndex } from "../../server/src/policy/revocation.ts";
import { NOW_MS, NOW_S } from "../judge/sample.ts";

interface TestToken extends RevocableToken {
  readonly iat: number | undefined;
}

const token = (change: Partial<TestToken> = {}): TestToken => ({
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

const put = (index: RevocationIndex, name: string, target: RevocationTarget, expireTimeMs: number) =>
  index.set({ name: revocationStreamName(name), version: 1n, entry: revocationEntryOf({ target, expireTimeMs }) });

const indexOf = (target: RevocationTarget, expireTimeMs = NOW_MS + 1000) => {
  const index = new RevocationIndex();
  put(index, "r1", target, expireTimeMs);
  return index;
};

const isRevoked = (index: RevocationIndex, it: TestToken, nowMs = NOW_MS) =>
  index.isRevoked(() => keysOfToken(it), it.iat, nowMs);

const ROWS: readonly (readonly [target: RevocationTarget, untouched: Partial<TestToken>])[] = [
  [{ kind: "token", project: "p", id: "j1" }, { jti: "j2" }],
  [{ kind: "session", project: "p", id: "s1" }, { sid: "s2" }],
  [{ kind: "session", project: "p", id: "s1", issuer: "projects/p/issuers/i" }, { issuer: "projects/p/issuers/j" }],
  [{ kind: "session", project: "p", id: "s1", issuer: "projects/p/issuers/i" }, { sid: "s2" }],
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
    expect(isRevoked(indexOf(target), token())).toBe(true);
    expect(isRevoked(indexOf(target), token(untouched))).toBe(false);
    expect(isRevoked(indexOf(target), token({ project: "q", issuer: "x", link: "y" }))).toBe(false);
  });

  test.each(ROWS)("%j stops counting at its expiry", (target) => {
    expect(isRevoked(indexOf(target), token(), NOW_MS + 999)).toBe(true);
    expect(isRevoked(indexOf(target), token(), NOW_MS + 1000)).toBe(false);
  });

  test("a part of a second of expiry counts as the whole: never accepted again too early", () => {
    const index = indexOf({ kind: "token", project: "p", id: "j1" }, NOW_MS + 1);
    expect(isRevoked(index, token(), NOW_MS + 999)).toBe(true);
  });

  test("issued before T: iat ≤ T in whole seconds, and tokens without iat", () => {
    const index = indexOf({ kind: "subject", project: "p", issuer: "", subject: "42", issuedBeforeMs: NOW_MS + 900 });
    const isIssuedThenRevoked = (iat: number | undefined) => isRevoked(index, token({ iat }));
    expect([NOW_S - 1, NOW_S, NOW_S + 0.5, undefined].map(isIssuedThenRevoked)).toEqual([true, true, true, true]);
    expect(isIssuedThenRevoked(NOW_S + 1)).toBe(false);
  });

  test("issued before a time before 1970 does not become a time far ahead", () => {
    const index = indexOf({ kind: "issuer", issuer: "projects/p/issuers/i", issuedBeforeMs: -1e12 });
    expect(isRevoked(index, token())).toBe(false);
    expect(isRevoked(index, token({ iat: undefined }))).toBe(true);
  });

  test("several of one target stand side by side, and go by their names", () => {
    const index = indexOf({ kind: "token", project: "p", id: "j1" }, NOW_MS + 1000);
    put(index, "r2", { kind: "token", project: "p", id: "j1" }, NOW_MS + 5000);
    expect(index.size).toBe(2);
    expect(isRevoked(index, token(), NOW_MS + 2000)).toBe(true);
    expect(index.delete(revocationStreamName("r2"))).toBe(true);
    expect(index.delete(revocationStreamName("unknown"))).toBe(false);
    expect(index.delete("unknown")).toBe(false);
    expect(isRevoked(index, token(), NOW_MS + 2000)).toBe(false);
    put(index, "r1", { kind: "token", project: "p", id: "j2" }, NOW_MS + 5000);
    expect(isRevoked(index, token())).toBe(false);
    expect(index.size).toBe(1);
  });

  test("a claim with line breaks cannot stand for another target", () => {
    const index = indexOf({ kind: "subject", project: "p", issuer: "", subject: "42", issuedBeforeMs: NOW_MS });
    expect(isRevoked(index, token({ sub: "\n42", issuer: "" }))).toBe(false);
    expect(isRevoked(index, token({ sub: undefined, jti: "j1\n42" }))).toBe(false);
  });

  test("keys are hashed only when there is any revocation", () => {
    const keys = () => {
      throw new Error("hashed");
    };
    expect(new RevocationIndex().isRevoked(keys, NOW_S, NOW_MS)).toBe(false);
  });
});

describe("the index", () => {
  const entryAt = (at: number): RevocationEntry => ({
    targetKey: keyOfTarget({ kind: "token", project: "p", id: `j${at}` }),
    issuedBeforeS: at % 3 === 0 ? NOW_S + at : undefined,
    expireTimeS: NOW_S + 10 + at,
  });
  const held = (at: number) => ({
    name: revocationStreamName(`r${at}`),
    version: BigInt(at) * 0x1_0000_0001n,
    entry: entryAt(at),
  });

  test("gives back what it was given, through growth, deletes and places used again", () => {
    const index = new RevocationIndex(Uint8Array.from({ length: 16 }, (_, at) => at * 17));
    const alive = new Map<string, ReturnType<typeof held>>();
    const wrong: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 40_000; at += 1) {
        const one = held(at + round * 7);
        index.set(one);
        alive.set(one.name, one);
        if (at % 2 === round % 2) continue;
        const gone = held(at);
        if (index.delete(gone.name) !== alive.delete(gone.name)) wrong.push(gone.name);
      }
      expect(index.size).toBe(alive.size);
    }
    const all = new Map([...index.entries()].map((one) => [one.name, one]));
    expect(all.size).toBe(alive.size);
    for (const [name, one] of alive) {
      if (!isDeepStrictEqual(all.get(name), one) || !isDeepStrictEqual(index.get(name), one)) wrong.push(name);
    }
    expect(wrong).toEqual([]);
  });

  test("says what it cannot hold without loss", () => {
    const one = held(3);
    expect(isHoldable(one)).toBe(true);
    expect(isHoldable({ ...one, name: "x" })).toBe(false);
    for (const expireTimeS of [-1, 2 ** 32 - 1])
      expect(isHoldable({ ...one, entry: { ...one.entry, expireTimeS } })).toBe(false);
    expect(isHoldable({ ...one, entry: { ...one.entry, issuedBeforeS: 2 ** 32 } })).toBe(false);
  });

  test("a hundred thousand take less than 160 bytes each, and are found at once", () => {
    const index = new RevocationIndex();
    const count = 100_000;
    const before = process.memoryUsage().arrayBuffers;
    for (let at = 0; at < count; at += 1) index.set(held(at));
    expect((process.memoryUsage().arrayBuffers - before) / count).toBeLessThan(160);
    expect(isRevoked(index, token({ jti: "j99998" }))).toBe(true);
    expect(isRevoked(index, token({ jti: "j100000" }))).toBe(false);
  });
});
