import { SignJWT } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { trustIssuer } from "../../server/src/jwt/trust.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { createLog } from "../../server/src/log.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import type { FetchedDocument, FetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { fakeClock, goodClaims, keyPair, NOW_S, sampleIssuer } from "../judge/sample.ts";

const URL_TEXT = "https://issuer.example/jwks";
const [one, two] = [keyPair("EC", "one"), keyPair("EC", "two")];
const setOf = (...jwks: object[]) => JSON.stringify({ keys: jwks });
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The identity provider: answers what it is told, and counts. */
class Provider {
  body = setOf(one.jwk);
  status = 200;
  headers: Record<string, string> = {};
  isDown = false;
  /** While set, answers wait. */
  gate: Promise<void> | undefined;
  readonly calls: { readonly url: string; readonly options: Parameters<FetchJson>[1] }[] = [];

  readonly fetchJson: FetchJson = async (url, options): Promise<FetchedDocument> => {
    this.calls.push({ url, options });
    await this.gate;
    if (this.isDown) throw new ConduitError("upstream_unreachable");
    return { status: this.status, headers: this.headers, body: this.body };
  };
}

let provider: Provider;
let time: ReturnType<typeof fakeClock>;
let sources: JwksSources;

beforeEach(() => {
  provider = new Provider();
  time = fakeClock();
  sources = newSources();
});

const newSources = () =>
  new JwksSources({ fetchJson: provider.fetchJson, clock: time.clock, log: createLog("json", "silent") });

const issuerOf = (name = "projects/p/issuers/main") =>
  trustIssuer({
    issuer: sampleIssuer({ name, keys: { kind: "jwks_url", url: URL_TEXT }, algorithms: ["ES256"] }),
    jwksSources: sources,
  });

/** RefreshKeys was called: the wish comes with the configuration. */
async function refreshNow(keysRefreshTimeMs: number) {
  const keys = { kind: "jwks_url", url: URL_TEXT } as const;
  sources.of(sampleIssuer({ keys, keysRefreshTimeMs }), keys);
  await settle();
}

const tokenOf = ({ privateKey }: typeof one, kid?: string) =>
  new SignJWT(goodClaims({ exp: NOW_S + 10 * 86_400 }))
    .setProtectedHeader({ alg: "ES256", ...(kid !== undefined && { kid }) })
    .sign(privateKey);

async function outcome(token: string, issuer = issuerOf()) {
  const verdict = await verifyToken(token, { issuers: [issuer], audiencesOf: () => undefined }, time.clock);
  return verdict instanceof TokenFault ? verdict.jwtError : "accepted";
}

/** Lets background fetches end. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("S19: fetching", () => {
  test("keys are fetched once, with the bounds of the contract", async () => {
    const token = await tokenOf(one, "one");
    expect(await outcome(token)).toBe("accepted");
    expect(await outcome(token)).toBe("accepted");
    expect(provider.calls).toHaveLength(1);
    expect(provider.calls[0]?.url).toBe(URL_TEXT);
    expect(provider.calls[0]?.options).toMatchObject({ timeoutMs: 5000, maxBytes: 1024 * 1024, allowPrivate: false });
  });

  test("simultaneous first requests share one fetch", async () => {
    const open = Promise.withResolvers<void>();
    provider.gate = open.promise;
    const token = await tokenOf(one, "one");
    const all = Promise.all(Array.from({ length: 50 }, () => outcome(token)));
    await settle();
    open.resolve();
    expect(new Set(await all)).toEqual(new Set(["accepted"]));
    expect(provider.calls).toHaveLength(1);
  });

  test.each([
    [undefined, 10 * MINUTE_MS],
    ["max-age=3600", HOUR_MS],
    ["public, max-age=300", 5 * MINUTE_MS],
    ["max-age=5", MINUTE_MS],
    ["max-age=99999999", 24 * HOUR_MS],
    ["no-store", MINUTE_MS],
    ["s-maxage=5", 10 * MINUTE_MS],
  ])("cache-control %j: fetched again after %d ms, in the background", async (value, maxAgeMs) => {
    provider.headers = value === undefined ? {} : { "cache-control": value };
    const token = await tokenOf(one, "one");
    await outcome(token);
    time.advance(maxAgeMs - 1);
    await outcome(token);
    expect(provider.calls).toHaveLength(1);
    time.advance(1);
    provider.gate = new Promise(() => undefined);
    if (maxAgeMs < 24 * HOUR_MS) expect(await outcome(token)).toBe("accepted");
    else void outcome(token);
    expect(provider.calls).toHaveLength(2);
  });

  test("two issuers with one URL share neither keys nor budgets", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    await outcome(token, issuerOf("projects/q/issuers/other"));
    expect(provider.calls).toHaveLength(2);
  });

  test("an issuer that is compiled anew keeps its keys", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token, issuerOf());
    await outcome(token, issuerOf());
    expect(provider.calls).toHaveLength(1);
    sources.retain(new Set());
    await outcome(token, issuerOf());
    expect(provider.calls).toHaveLength(2);
  });
});

describe("S19: rotation", () => {
  test("an unknown kid is looked for, once per cooldown whatever comes", async () => {
    await outcome(await tokenOf(one, "one"));
    provider.body = setOf(one.jwk, two.jwk);
    expect(await outcome(await tokenOf(two, "two"))).toBe("Unknown key");
    expect(provider.calls).toHaveLength(1);
    time.advance(30_000);
    expect(await outcome(await tokenOf(two, "two"))).toBe("accepted");
    expect(provider.calls).toHaveLength(2);
  });

  test("10,000 made-up kids cost at most one fetch per cooldown, and no memory", async () => {
    await outcome(await tokenOf(one, "one"));
    const source = issuerOf().keys;
    for (let round = 0; round < 3; round += 1) {
      time.advance(30_000);
      await Promise.all(Array.from({ length: 3334 }, () => source.newer(source.current()!)));
    }
    expect(provider.calls).toHaveLength(4);
  });

  test("a failed signature looks too: keys may change under one kid", async () => {
    await outcome(await tokenOf(one, "one"));
    time.advance(30_000);
    provider.body = setOf({ ...two.jwk, kid: "one" });
    expect(await outcome(await tokenOf(two, "one"))).toBe("accepted");
    expect(await outcome(await tokenOf(one, "one"))).toBe("Invalid signature");
  });

  test("a key that was taken out is not used after the next fetch", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    provider.body = setOf(two.jwk);
    time.advance(10 * MINUTE_MS);
    await outcome(token);
    await settle();
    expect(await outcome(token)).toBe("Unknown key");
  });

  test("after a long pause the first request waits for fresh keys", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    provider.body = setOf(two.jwk);
    time.advance(20 * MINUTE_MS);
    expect(await outcome(token)).toBe("Unknown key");
  });

  test("an uneventful refresh keeps the same set, so that verified tokens stay cached", async () => {
    await outcome(await tokenOf(one, "one"));
    const before = issuerOf().keys.current();
    time.advance(MINUTE_MS);
    await refreshNow(1);
    expect(provider.calls).toHaveLength(2);
    expect(issuerOf().keys.current()).toBe(before);
    provider.body = setOf(one.jwk, two.jwk);
    time.advance(MINUTE_MS);
    await refreshNow(2);
    expect(issuerOf().keys.current()).not.toBe(before);
  });

  test("sets in use are fetched before they are too old when asked regularly; others rest", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    time.advance(7 * MINUTE_MS);
    await outcome(token);
    sources.refreshDue();
    expect(provider.calls).toHaveLength(1);
    time.advance(MINUTE_MS);
    sources.refreshDue();
    expect(provider.calls).toHaveLength(2);
    await settle();
    time.advance(HOUR_MS);
    sources.refreshDue();
    expect(provider.calls).toHaveLength(2);
  });

  test("an issuer whose URL changes again and again leaves no trail of sources", () => {
    const jwks = setOf(one.jwk);
    const add = (name: string, url: string) => {
      sources.of(sampleIssuer({ name }), { kind: "jwks_url", url });
      sources.seed({ issuer: name, url, jwks, fetchedAtMs: time.clock.now() });
    };
    for (let at = 0; at < 50; at += 1) add("projects/p/issuers/main", `${URL_TEXT}?v=${at}`);
    add("projects/p/issuers/other", URL_TEXT);
    expect(sources.toSeeds()).toHaveLength(3);
  });
});

describe("S19: a provider that fails", () => {
  test("known keys serve up to 24 hours, then nothing does", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    provider.isDown = true;
    time.advance(24 * HOUR_MS - 1);
    expect(await outcome(token)).toBe("accepted");
    await settle();
    time.advance(1);
    expect(await outcome(token)).toBe("Identity provider unreachable");
    time.advance(30_000);
    provider.isDown = false;
    expect(await outcome(token)).toBe("accepted");
  });

  test("while it hangs, requests do not wait for it again and again", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    provider.isDown = true;
    time.advance(HOUR_MS);
    expect(await outcome(token)).toBe("accepted");
    time.advance(MINUTE_MS);
    provider.gate = new Promise(() => undefined);
    expect(await outcome(token)).toBe("accepted");
  });

  test("failed attempts count: one per cooldown", async () => {
    provider.isDown = true;
    const token = await tokenOf(one, "one");
    for (let second = 0; second < 60; second += 1) {
      expect(await outcome(token)).toBe("Identity provider unreachable");
      time.advance(1000);
    }
    expect(provider.calls).toHaveLength(2);
  });

  test.each<[string, Partial<Provider>]>([
    ["404", { status: 404 }],
    ["a redirect", { status: 302 }],
    ["no content", { status: 204, body: "" }],
    ["HTML", { body: "<html>" }],
    ["an array", { body: "[]" }],
    ["no keys", { body: "{}" }],
    ["keys that are no list", { body: '{"keys":{}}' }],
  ])("%s is not a key set: never open, old keys stay", async (_name, answer) => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    Object.assign(provider, answer);
    time.advance(20 * MINUTE_MS);
    expect(await outcome(token)).toBe("accepted");
    const fresh = newSources();
    sources = fresh;
    expect(await outcome(token)).toBe("Identity provider unreachable");
    expect(sources.status()).toMatchObject([{ kids: [], lastError: expect.any(String) }]);
  });

  test("an empty set withdraws all keys", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    provider.body = setOf();
    time.advance(20 * MINUTE_MS);
    expect(await outcome(token)).toBe("Unknown key");
  });

  test.each([-86_400_000, 86_400_000])("a wall clock that jumps by %d ms ages no keys", async (jumpMs) => {
    const token = await tokenOf(one, "one");
    const source = issuerOf().keys;
    await outcome(token);
    time.jump(jumpMs);
    expect(source.current()).toBeDefined();
    expect(provider.calls).toHaveLength(1);
  });

  test("broken keys in a set do not spoil the others", async () => {
    provider.body = setOf({ kty: "EC" }, { kty: "XX" }, { kty: "RSA", n: "AQAB", e: "AQAB" }, one.jwk);
    expect(await outcome(await tokenOf(one, "one"))).toBe("accepted");
    expect(sources.status()).toMatchObject([{ kids: ["one"], lastError: "" }]);
  });

  test("a set full of keys without kid costs a forged token eight verifications at most", async () => {
    provider.body = setOf(...Array.from({ length: 150 }, () => ({ ...one.jwk, kid: undefined })));
    await outcome(await tokenOf(two));
    expect(issuerOf().keys.current()?.find("ES256", undefined)).toHaveLength(8);
  });
});

describe("S19: over a restart", () => {
  test("a seeded source serves while the provider is down, and its age counts on", async () => {
    const token = await tokenOf(one, "one");
    await outcome(token);
    time.advance(HOUR_MS);
    const seeds = sources.toSeeds();
    expect(seeds).toMatchObject([{ issuer: "projects/p/issuers/main", url: URL_TEXT }]);
    provider.isDown = true;
    sources = newSources();
    issuerOf();
    for (const seed of seeds) sources.seed(seed);
    expect(await outcome(token)).toBe("accepted");
    time.advance(23 * HOUR_MS);
    expect(await outcome(token)).toBe("Identity provider unreachable");
  });

  test("a seed is for its own issuer and URL only", async () => {
    provider.isDown = true;
    issuerOf();
    sources.seed({ issuer: "projects/q/issuers/main", url: URL_TEXT, jwks: setOf(one.jwk), fetchedAtMs: 0 });
    sources.seed({
      issuer: "projects/p/issuers/main",
      url: "https://x.example/",
      jwks: setOf(one.jwk),
      fetchedAtMs: 0,
    });
    expect(await outcome(await tokenOf(one, "one"))).toBe("Identity provider unreachable");
  });

  test("closing aborts what is under way", async () => {
    provider.gate = new Promise(() => undefined);
    void outcome(await tokenOf(one, "one"));
    await settle();
    sources.close();
    expect(provider.calls[0]?.options.signal?.aborted).toBe(true);
  });
});
