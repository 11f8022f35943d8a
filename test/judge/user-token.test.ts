import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { challengeText, Refusal } from "../../server/src/judge/refusal.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { type VerifiedToken, verifyToken } from "../../server/src/jwt/verify.ts";
import { createLog } from "../../server/src/log.ts";
import type { CredentialMode, Link } from "../../server/src/model/link.ts";
import {
  fakeClock,
  forge,
  goodClaims,
  judged,
  judgeToken,
  keyPair,
  NOW_S,
  refusalOf,
  sampleRequest,
  sign,
  trust,
} from "./sample.ts";

const good = await sign(goodClaims({ email: "a@b.example" }));
const other = await sign(goodClaims({ sub: "43" }));

async function judge(
  authorizations: readonly string[],
  userTokenMode: CredentialMode = "REQUIRED",
  change: Partial<Link> = {},
) {
  const link = judged({ userTokenMode, ...change });
  const verdict = await judgeUserToken(
    { link, request: sampleRequest({ authorizations }), app: { linkToken: undefined } },
    fakeClock().clock,
  );
  if (!(verdict instanceof Refusal)) return verdict.user?.claims.sub ?? "anonymous";
  return [verdict.code, verdict.jwtError, challengeText(verdict, link.id)];
}

const REALM = 'Bearer realm="shop-abcd1234"';
const MISSING = ["token_missing", "Missing token", REALM];
const MALFORMED = ["token_malformed", "Malformed token", `${REALM}, error="invalid_token"`];

describe("modes and headers", () => {
  test.each<[CredentialMode, readonly string[], unknown]>([
    ["REQUIRED", [`Bearer ${good}`], "42"],
    ["REQUIRED", [`bearer ${good}`], "42"],
    ["REQUIRED", [` BEARER \t ${good} `], "42"],
    ["REQUIRED", [`Bearer ${good}`, `bearer  ${good}`], "42"],
    ["REQUIRED", [], MISSING],
    ["REQUIRED", [""], MALFORMED],
    ["REQUIRED", ["Bearer"], MALFORMED],
    ["REQUIRED", ["Bearer "], MALFORMED],
    ["REQUIRED", ["Bearer undefined"], MALFORMED],
    ["REQUIRED", [good], MALFORMED],
    ["REQUIRED", ["Basic dXNlcjpwYXNz"], MALFORMED],
    ["REQUIRED", [`Bearer ${good} x`], MALFORMED],
    ["REQUIRED", [`Bearer ${good}, Bearer ${good}`], MALFORMED],
    ["REQUIRED", [`Bearer ${good}`, `Bearer ${other}`], ["token_ambiguous", undefined, undefined]],
    ["REQUIRED", [`Bearer ${good}`, "Basic dXNlcjpwYXNz"], ["token_ambiguous", undefined, undefined]],
    ["OPTIONAL", [], "anonymous"],
    ["OPTIONAL", [`Bearer ${good}`], "42"],
    ["OPTIONAL", ["Basic dXNlcjpwYXNz"], MALFORMED],
    ["OFF", [`Bearer ${good}`], "anonymous"],
    ["OFF", ["garbage"], "anonymous"],
  ])("%s with %j", async (mode, authorizations, expected) => {
    expect(await judge(authorizations, mode)).toEqual(expected);
  });
});

describe("required claims", () => {
  const email = { path: "email", test: "present", present: true } as const;
  const admin = { path: "realm.roles", test: "contains", value: "admin" } as const;
  const claimRefusal = async (claims: Record<string, unknown>) => {
    const refusal = refusalOf(
      await judgeToken(judged({ requiredClaims: [email, admin] }), await sign(goodClaims(claims))),
    );
    return [refusal.code, refusal.detail, refusal.jwtError];
  };

  test("a missing one is named", async () => {
    const text = "Missing required claim: email";
    expect(await claimRefusal({})).toEqual(["token_claim_missing", text, text]);
    expect(await claimRefusal({ email: "x" })).toEqual([
      "token_claim_missing",
      "Missing required claim: realm.roles",
      "Missing required claim: realm.roles",
    ]);
  });

  test("a wrong one is named", async () => {
    const text = "Invalid claim: realm.roles";
    expect(await claimRefusal({ email: "x", realm: { roles: ["user"] } })).toEqual(["token_claim_invalid", text, text]);
  });
});

describe("scopes", () => {
  const link = () => judged({ scopesAll: ["read", "write"], scopesAny: ["a", "b"] });

  test.each([
    [{ scope: "read write a" }, true],
    [{ scope: "b write read x" }, true],
    [{ scp: ["read", "write", "a"] }, true],
    [{ scope: "read write" }, false],
    [{ scope: "read a" }, false],
    [{ scope: "readwritea" }, false],
    [{}, false],
    [{ scope: "", scp: ["read", "write", "a"] }, false],
  ])("%j: %s", async (claims, isEnough) => {
    const verdict = await judgeToken(link(), await sign(goodClaims(claims)));
    expect(!(verdict instanceof Refusal)).toBe(isEnough);
    if (!isEnough) {
      expect(refusalOf(verdict).code).toBe("insufficient_scope");
      expect(challengeText(refusalOf(verdict), "l")).toBe(
        'Bearer realm="l", error="insufficient_scope", scope="read write a b"',
      );
    }
  });
});

describe("the closed table of jwt_error", () => {
  const hour = 3600;
  test.each<[string, () => Promise<string> | string, Partial<Link>?]>([
    ["Malformed token", () => "x.y"],
    ["Token expired", () => sign(goodClaims({ exp: NOW_S - hour }))],
    ["Token not yet valid", () => sign(goodClaims({ nbf: NOW_S + hour }))],
    ["Invalid signature", () => sign(goodClaims(), {}, "another secret of thirty-two bytes or more")],
    ["Algorithm not allowed: none", () => forge({ alg: "none" }, goodClaims(), "")],
    ["Algorithm not allowed: RS256", () => forge({ alg: "RS256" }, goodClaims())],
    ["Invalid issuer", () => sign(goodClaims({ iss: "https://x.example" }))],
    ["Invalid audience", () => sign(goodClaims({ aud: "x" })), { audiences: ["api"] }],
    ["Wrong token type", () => sign(goodClaims({ nonce: "x" }))],
    ["Missing required claim: exp", () => sign(goodClaims({ exp: undefined }))],
    ["Invalid claim: sub", () => sign(goodClaims({ sub: 42 }))],
    ["Encrypted tokens (JWE) are not supported", () => `${good.split(".")[0]}....`],
  ])("%s", async (text, make, change) => {
    const refusal = refusalOf(await judgeToken(judged(change), await make()));
    expect(refusal.jwtError).toBe(text);
    expect(refusal.challenge).toEqual({ realm: "user", error: "invalid_token" });
  });

  test("an unreachable issuer is no fault of the token: 503, without a challenge", async () => {
    const issuer = trust({ keys: { kind: "jwks_url", url: "https://issuer.example/jwks" }, algorithms: ["ES256"] });
    const refusal = refusalOf(
      await judgeToken(judged({ anyAudience: true }, [issuer]), forge({ alg: "ES256" }, goodClaims())),
    );
    expect(refusal).toMatchObject({ code: "issuer_unreachable", jwtError: "Identity provider unreachable" });
    expect(refusal.challenge).toBeUndefined();
  });

  test("expected and seen say what differs", async () => {
    const refusal = refusalOf(
      await judgeToken(judged({ audiences: ["api", "b"] }), await sign(goodClaims({ aud: ["x", "y"] }))),
    );
    expect(refusal).toMatchObject({ expected: "api, b", seen: "x, y" });
  });
});

describe("S11: verified tokens are kept", () => {
  /** Whether the verdict was there at once, that is without any cryptography. */
  const isAtOnce = (link: ReturnType<typeof judged>, token: string, clock = fakeClock().clock) =>
    !(
      judgeUserToken(
        { link, request: sampleRequest({ authorizations: [`Bearer ${token}`] }), app: { linkToken: undefined } },
        clock,
      ) instanceof Promise
    );

  test("a token seen before is answered at once, any other is verified", async () => {
    const link = judged();
    expect(isAtOnce(link, good)).toBe(false);
    await judgeToken(link, good);
    expect(isAtOnce(link, good)).toBe(true);
    expect(isAtOnce(link, other)).toBe(false);
    expect(isAtOnce(link, `${good.slice(0, -1)}${good.endsWith("A") ? "E" : "A"}`)).toBe(false);
  });

  test("a verdict ends with the token, to the millisecond", async () => {
    const link = judged();
    const time = fakeClock();
    await judgeToken(link, good, time.clock);
    time.advance(905_000 - 1);
    expect(isAtOnce(link, good, time.clock)).toBe(true);
    time.advance(1);
    expect(refusalOf(await judgeToken(link, good, time.clock)).code).toBe("token_expired");
  });

  test("a clock that goes back makes a token not yet valid again", async () => {
    const link = judged();
    const time = fakeClock();
    await judgeToken(link, good, time.clock);
    time.jump(-86_400_000);
    expect(refusalOf(await judgeToken(link, good, time.clock)).code).toBe("token_not_yet_valid");
  });

  test("a changed link knows nothing of what the old one accepted", async () => {
    await judgeToken(judged(), good);
    expect(isAtOnce(judged(), good)).toBe(false);
    expect(refusalOf(await judgeToken(judged({ audiences: ["api"] }), good)).code).toBe("token_audience_mismatch");
  });

  test("refused tokens are not kept", async () => {
    const link = judged({ requiredClaims: [{ path: "gone", test: "present", present: true }] });
    await judgeToken(link, good);
    expect(isAtOnce(link, good)).toBe(false);
    expect(refusalOf(await judgeToken(link, good)).code).toBe("token_claim_missing");
  });

  test("a key that was taken out ends the verdicts it gave", async () => {
    const keys = keyPair("EC", "one");
    let jwks = JSON.stringify({ keys: [keys.jwk] });
    const time = fakeClock();
    const jwksSources = new JwksSources({
      clock: time.clock,
      log: createLog("json", "silent"),
      fetchJson: async () => ({ status: 200, headers: {}, body: jwks }),
    });
    const issuer = trust(
      { keys: { kind: "jwks_url", url: "https://issuer.example/jwks" }, algorithms: ["ES256"] },
      { jwksSources },
    );
    const link = judged({ anyAudience: true }, [issuer]);
    const token = await new SignJWT(goodClaims())
      .setProtectedHeader({ alg: "ES256", kid: "one" })
      .sign(keys.privateKey);
    await judgeToken(link, token, time.clock);
    expect(isAtOnce(link, token, time.clock)).toBe(true);
    jwks = '{"keys":[]}';
    time.advance(60_000);
    const keys2 = { kind: "jwks_url", url: "https://issuer.example/jwks" } as const;
    jwksSources.of({ ...issuer.issuer, keysRefreshTimeMs: 1 }, keys2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(refusalOf(await judgeToken(link, token, time.clock)).jwtError).toBe("Unknown key");
  });

  test("the number of kept tokens is bounded", async () => {
    const link = judged();
    const { VerifiedTokens } = await import("../../server/src/judge/verified-tokens.ts");
    await judgeToken(link, good);
    const user = link.verifiedTokens.get(good, NOW_S * 1000)!;
    const verified = (await verifyToken(good, link.verifyPolicy, fakeClock().clock)) as VerifiedToken;
    const kept = new VerifiedTokens();
    for (let at = 0; at < 10_050; at += 1) kept.add({ ...verified, text: `token ${at}` }, user);
    const isKept = (at: number) => kept.get(`token ${at}`, NOW_S * 1000) !== undefined;
    expect([49, 50, 10_049].map(isKept)).toEqual([false, true, true]);
    kept.add({ ...verified, text: "x".repeat(4097) }, user);
    expect(kept.get("x".repeat(4097), NOW_S * 1000)).toBeUndefined();
  });
});
