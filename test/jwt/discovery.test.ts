// Keys by OpenID Connect Discovery, and keys that someone wants fetched anew.
import { SignJWT } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { trustIssuer } from "../../server/src/jwt/trust.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { createLog } from "../../server/src/log.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import type { FetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { fakeClock, goodClaims, keyPair, NOW_S, sampleIssuer } from "../judge/sample.ts";

const ISSUER_URL = "https://issuer.example/tenant/";
const DOCUMENT_URL = "https://issuer.example/tenant/.well-known/openid-configuration";
const KEYS_URL = "https://keys.example/jwks";
const [one, two] = [keyPair("EC", "one"), keyPair("EC", "two")];
const setOf = (...jwks: object[]) => JSON.stringify({ keys: jwks });

let pages: Record<string, string>;
let calls: { readonly url: string; readonly options: Parameters<FetchJson>[1] }[];
let time: ReturnType<typeof fakeClock>;
let sources: JwksSources;

beforeEach(() => {
  calls = [];
  pages = {
    [DOCUMENT_URL]: JSON.stringify({ issuer: ISSUER_URL, jwks_uri: KEYS_URL }),
    [KEYS_URL]: setOf(one.jwk),
  };
  time = fakeClock();
  const fetchJson: FetchJson = async (url, options) => {
    calls.push({ url, options });
    const body = pages[url];
    if (body === undefined) throw new ConduitError("upstream_unreachable");
    return { status: 200, headers: {}, body };
  };
  sources = new JwksSources({ fetchJson, clock: time.clock, log: createLog("json", "silent") });
});

const issuerOf = (change: Partial<Issuer> = {}) =>
  trustIssuer({
    issuer: sampleIssuer({
      iss: ISSUER_URL,
      keys: { kind: "oidc_discovery", url: ISSUER_URL },
      algorithms: ["ES256"],
      ...change,
    }),
    jwksSources: sources,
  });

async function codeOf(pair: typeof one, kid: string, change: Partial<Issuer> = {}) {
  const token = await new SignJWT(goodClaims({ iss: ISSUER_URL, exp: NOW_S + 10 * 86_400 }))
    .setProtectedHeader({ alg: "ES256", kid })
    .sign(pair.privateKey);
  const policy = { issuers: [issuerOf(change)], audiencesOf: () => undefined };
  const verdict = await verifyToken(token, policy, time.clock);
  return verdict instanceof TokenFault ? verdict.code : "accepted";
}

const urls = () => calls.map(({ url }) => url);
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("discovery", () => {
  test("the document says where the keys are; both are fetched under one policy", async () => {
    time.advance(0.1);
    expect(await codeOf(one, "one", { allowPrivate: true, caCertificates: "PEM" })).toBe("accepted");
    expect(urls()).toEqual([DOCUMENT_URL, KEYS_URL]);
    for (const { options } of calls) {
      expect(options).toMatchObject({ maxBytes: 1024 * 1024, allowPrivate: true, caCertificates: "PEM" });
      expect(options.timeoutMs).toBeLessThanOrEqual(5_001);
      // What timers take: the clock's milliseconds have fractions.
      expect(options.timeoutMs % 1).toBe(0);
    }
  });

  test("a later fetch asks for the keys alone, for a day", async () => {
    await codeOf(one, "one");
    time.advance(60_000);
    expect(await codeOf(two, "two")).toBe("token_signature_invalid");
    expect(urls()).toEqual([DOCUMENT_URL, KEYS_URL, KEYS_URL]);
    time.advance(24 * 3_600_000);
    await codeOf(one, "one");
    await settle();
    expect(urls().slice(3)).toEqual([DOCUMENT_URL, KEYS_URL]);
  });

  test("keys that have moved are found again", async () => {
    await codeOf(one, "one");
    const moved = "https://new-keys.example/jwks";
    delete pages[KEYS_URL];
    pages[moved] = setOf(two.jwk);
    pages[DOCUMENT_URL] = JSON.stringify({ issuer: ISSUER_URL, jwks_uri: moved });
    time.advance(60_000);
    expect(await codeOf(two, "two")).toBe("issuer_unreachable");
    time.advance(30_000);
    expect(await codeOf(two, "two")).toBe("accepted");
  });

  test.each<[string, unknown]>([
    ["another issuer's", { issuer: "https://evil.example/", jwks_uri: KEYS_URL }],
    ["the issuer's without its slash", { issuer: ISSUER_URL.slice(0, -1), jwks_uri: KEYS_URL }],
    ["in another case", { issuer: ISSUER_URL.toUpperCase(), jwks_uri: KEYS_URL }],
    ["nobody's", { jwks_uri: KEYS_URL }],
    ["a list", [{ issuer: ISSUER_URL, jwks_uri: KEYS_URL }]],
    ["without jwks_uri", { issuer: ISSUER_URL }],
    ["with a jwks_uri that is none", { issuer: ISSUER_URL, jwks_uri: 7 }],
    ["no JSON", undefined],
  ])("S19: a document that is %s opens nothing, and no keys are asked for", async (_what, document) => {
    pages[DOCUMENT_URL] = document === undefined ? "<html>" : JSON.stringify(document);
    expect(await codeOf(one, "one")).toBe("issuer_unreachable");
    expect(urls()).toEqual([DOCUMENT_URL]);
    expect(sources.status()[0]?.lastError).toMatch(/discovery document/);
  });
});

describe("the issuer is away", () => {
  test("S19: known keys serve, unknown ones fail closed and blame nobody's token", async () => {
    expect(await codeOf(one, "one")).toBe("accepted");
    pages = {};
    time.advance(60_000);
    expect(await codeOf(one, "one")).toBe("accepted");
    expect(await codeOf(two, "two")).toBe("issuer_unreachable");
    expect(await codeOf(two, "one")).toBe("token_signature_invalid");
  });
});

describe("a wish to refresh", () => {
  const wishing = (keysRefreshTimeMs: number) => issuerOf({ keysRefreshTimeMs });

  test("is met once, however often the issuer is compiled", async () => {
    await codeOf(one, "one");
    time.advance(60_000);
    calls = [];
    for (let at = 0; at < 5; at += 1) wishing(1);
    await settle();
    // Discovery too: the keys may have moved.
    expect(urls()).toEqual([DOCUMENT_URL, KEYS_URL]);
    wishing(1);
    sources.refreshDue();
    expect(calls).toHaveLength(2);
  });

  test("waits for the budget, and is met when it allows", async () => {
    await codeOf(one, "one");
    calls = [];
    time.advance(10_000);
    wishing(1);
    sources.refreshDue();
    expect(calls).toEqual([]);
    time.advance(20_000);
    sources.refreshDue();
    await settle();
    expect(urls()).toEqual([DOCUMENT_URL, KEYS_URL]);
  });

  test("stays a wish until it is met", async () => {
    await codeOf(one, "one");
    const before = pages;
    pages = {};
    time.advance(60_000);
    wishing(1);
    await settle();
    expect(sources.status()[0]).toMatchObject({ kids: ["one"], lastError: expect.stringMatching(/./) });
    pages = before;
    time.advance(30_000);
    sources.refreshDue();
    await settle();
    expect(sources.status()[0]?.lastError).toBe("");
  });

  test("is remembered over a restart: keys that met it are not fetched again, older ones are", async () => {
    wishing(7);
    await codeOf(one, "one", { keysRefreshTimeMs: 7 });
    const [seed] = sources.toSeeds();
    const restart = (refreshTimeMs: number) => {
      sources = new JwksSources({
        fetchJson: async (url, options) => {
          calls.push({ url, options });
          return { status: 200, headers: {}, body: pages[url] ?? "" };
        },
        clock: time.clock,
        log: createLog("json", "silent"),
      });
      calls = [];
      wishing(refreshTimeMs);
      sources.seed(seed!);
      sources.refreshDue();
    };
    restart(7);
    expect(calls).toEqual([]);
    restart(8);
    expect(urls()).toEqual([DOCUMENT_URL]);
  });
});

test("what should be kept over a restart differs when keys change in nothing but their value", async () => {
  await codeOf(one, "one");
  const before = sources.seedsMark();
  expect(sources.seedsMark()).toBe(before);
  pages[KEYS_URL] = setOf({ ...two.jwk, kid: "one" });
  time.advance(60_000);
  await codeOf(two, "two");
  expect(sources.toSeeds()[0]?.jwks).toHaveLength(setOf(one.jwk).length);
  expect(sources.seedsMark()).not.toBe(before);
});

test("keys that were fetched in another hour are kept anew: a cold start must not find them too old", async () => {
  await codeOf(one, "one");
  const before = sources.seedsMark();
  time.advance(2 * 3_600_000);
  await codeOf(one, "one");
  await settle();
  expect(sources.seedsMark()).not.toBe(before);
});
