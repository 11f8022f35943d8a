// S7: whatever a token's header says, it chooses neither algorithm nor key, and nobody is called for it.
import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { trustIssuer } from "../../server/src/jwt/trust.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { createLog } from "../../server/src/log.ts";
import { FITTING_ALGORITHMS } from "../../server/src/model/issuer.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { fakeClock, forge, goodClaims, keyPair, SECRET, sampleIssuer } from "../judge/sample.ts";

const attacker = { RSA: keyPair("RSA", "k"), EC: keyPair("EC", "k"), OKP: keyPair("OKP", "k") };
const victim = keyPair("RSA", "k");
const time = fakeClock();

const calls: string[] = [];
const jwksSources = new JwksSources({
  clock: time.clock,
  log: createLog("json", "silent"),
  fetchJson: async (url) => {
    calls.push(url);
    return { status: 200, headers: {}, body: JSON.stringify({ keys: [victim.jwk] }) };
  },
});
const KINDS = {
  hs256: trustIssuer({ issuer: sampleIssuer(), secret: { current: new SecretText(SECRET) }, jwksSources }),
  jwks: trustIssuer({
    issuer: sampleIssuer({
      keys: { kind: "jwks_url", url: "https://issuer.example/jwks" },
      algorithms: FITTING_ALGORITHMS.jwks_url,
    }),
    jwksSources,
  }),
};

async function codeOf(token: string, kind: keyof typeof KINDS) {
  const policy = { issuers: [KINDS[kind]], audiencesOf: () => undefined };
  const verdict = await verifyToken(token, policy, time.clock);
  return verdict instanceof TokenFault ? verdict.code : "accepted";
}

/** A token that is good by the attacker's own key. */
async function signedByAttacker(kind: keyof typeof attacker, alg: string, more: object): Promise<string> {
  const { privateKey } = attacker[kind];
  return new SignJWT(goodClaims()).setProtectedHeader({ alg, kid: "k", ...more }).sign(privateKey);
}

const EVIL_URL = "https://evil.example/jwks.json";
const HEADERS: readonly (readonly [string, (kind: keyof typeof attacker) => object])[] = [
  ["an embedded jwk", (kind) => ({ jwk: attacker[kind].jwk })],
  ["a jku", () => ({ jku: EVIL_URL })],
  ["an x5u", () => ({ x5u: EVIL_URL })],
  ["an x5c", () => ({ x5c: ["MIIB"] })],
  ["all of them", (kind) => ({ jwk: attacker[kind].jwk, jku: EVIL_URL, x5u: EVIL_URL, x5c: ["MIIB"] })],
  ["x5t and a foreign kid", () => ({ x5t: "AAAA", kid: "../../etc/passwd" })],
  ["the issuer's kid", () => ({})],
];
const ALGORITHMS = [
  ["RSA", "RS256"],
  ["RSA", "PS512"],
  ["EC", "ES256"],
  ["OKP", "EdDSA"],
] as const;

test.each(HEADERS)("S7: %s helps no forged token, and the address in it is never called", async (_what, header) => {
  await codeOf(
    await new SignJWT(goodClaims()).setProtectedHeader({ alg: "RS256", kid: "k" }).sign(victim.privateKey),
    "jwks",
  );
  calls.length = 0;
  for (const [kind, alg] of ALGORITHMS) {
    const token = await signedByAttacker(kind, alg, header(kind));
    expect(await codeOf(token, "hs256")).not.toBe("accepted");
    expect(await codeOf(token, "jwks")).not.toBe("accepted");
  }
  expect(calls).toEqual([]);
});

const NONES = [
  "none",
  "None",
  "NONE",
  "nOnE",
  "",
  " none",
  "none ",
  "n\u043ene",
  "null",
  "HS256 ",
  "hs256",
  "RS256\u0000",
];

test.each(NONES)("S7: alg %j is refused, signed or not, and nothing is called", async (alg) => {
  calls.length = 0;
  for (const signature of ["", "AAAA", "e30"]) {
    for (const kind of ["hs256", "jwks"] as const) {
      expect(await codeOf(forge({ alg, kid: "k" }, goodClaims(), signature), kind)).toBe("token_algorithm_refused");
    }
  }
  expect(calls).toEqual([]);
});

test.each<[string, object]>([
  ["crit", { crit: ["exp"], exp: 1 }],
  ["an empty crit", { crit: [] }],
  ["crit that is no list", { crit: "exp" }],
  ["crit of a known name", { crit: ["alg"] }],
  ["b64: false", { crit: ["b64"], b64: false }],
  ["b64 without crit", { b64: true }],
])("S7: %s is an extension nobody here understands", async (_what, extension) => {
  calls.length = 0;
  expect(await codeOf(forge({ alg: "RS256", kid: "k", ...extension }, goodClaims()), "jwks")).toBe("token_malformed");
  expect(await codeOf(forge({ alg: "HS256", ...extension }, goodClaims()), "hs256")).toBe("token_malformed");
  expect(calls).toEqual([]);
});

test.each([
  ["a JWE", `${forge({ alg: "dir", enc: "A256GCM" }, "")}.AAAA.AAAA`],
  ["a JWE's header in three parts", forge({ alg: "RSA-OAEP", enc: "A256GCM", kid: "k" }, goodClaims())],
  ["a nested JWT", forge({ alg: "PBES2-HS256+A128KW", p2c: 2_000_000_000, cty: "JWT" }, goodClaims())],
])("S7: %s where a JWS is expected is refused at once", async (_what, token) => {
  calls.length = 0;
  const startMs = performance.now();
  for (const kind of ["hs256", "jwks"] as const) expect(await codeOf(token, kind)).not.toBe("accepted");
  expect(performance.now() - startMs).toBeLessThan(1_000);
  expect(calls).toEqual([]);
});
