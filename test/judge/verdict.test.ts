// Stages 5 to 7 one after the other, as the pipeline calls them.
import fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { judgeRules } from "../../server/src/judge/authorize.ts";
import type { JudgedLink } from "../../server/src/judge/judged-link.ts";
import { compileLink } from "../../server/src/judge/judged-link.ts";
import type { JudgedRequest } from "../../server/src/judge/judged-request.ts";
import { judgeLinkToken } from "../../server/src/judge/link-token.ts";
import { challengeText, Refusal } from "../../server/src/judge/refusal.ts";
import { judgeRevocation } from "../../server/src/judge/revocation.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import { revocationEntryOf, revocationStreamName } from "../../server/src/model/revocation.ts";
import { RevocationIndex } from "../../server/src/policy/revocation.ts";
import {
  allow,
  deny,
  fakeClock,
  goodClaims,
  judged,
  keyPair,
  NOW_MS,
  sampleLink,
  sampleRequest,
  sign,
  trust,
} from "./sample.ts";

async function verdictOf(link: JudgedLink, request: Partial<JudgedRequest>, revocations = new RevocationIndex()) {
  const { clock } = fakeClock();
  const withApp = judgeLinkToken({ link, request: sampleRequest(request) }, clock.now());
  if (withApp instanceof Refusal) return withApp;
  const withUser = await judgeUserToken(withApp, clock);
  if (withUser instanceof Refusal) return withUser;
  const notRevoked = judgeRevocation(withUser, revocations, clock.now());
  return notRevoked instanceof Refusal ? notRevoked : judgeRules(notRevoked);
}

async function answer(...args: Parameters<typeof verdictOf>) {
  const verdict = await verdictOf(...args);
  return verdict instanceof Refusal ? `${verdict.code}: ${verdict.detail}` : "allowed";
}

const bearer = async (claims: Record<string, unknown> = {}) => ({
  authorizations: [`Bearer ${await sign(goodClaims(claims))}`],
});
const open = { linkTokenMode: "OFF" } as const;

describe("authorize", () => {
  test("a user reaches his own path and no other's", async () => {
    const link = judged(open);
    expect(await answer(link, { ...(await bearer()), path: "/api/users/42/x" })).toBe("allowed");
    expect(await answer(link, { ...(await bearer()), path: "/api/users/43/x" })).toBe(
      "rule_denied: No rule of this link allows this method and path for this user",
    );
  });

  test("an ambiguous path is refused after the tokens, before any rule", async () => {
    const link = judged({ ...open, rules: [allow("/**")] });
    const path = "/api/users/42/../43";
    expect(await answer(link, { path })).toMatch(/^token_missing/);
    expect(await answer(link, { ...(await bearer()), path })).toMatch(/^path_ambiguous/);
  });

  test("a claim that a rule needs and the token lacks is 401 and named", async () => {
    const link = judged({ ...open, rules: [allow("/t/{jwt.tenant.id}/**")] });
    const verdict = await verdictOf(link, { ...(await bearer()), path: "/t/1" });
    expect(verdict).toMatchObject({
      code: "token_claim_missing",
      detail: "Missing required claim: tenant.id",
      jwtError: "Missing required claim: tenant.id",
    });
    expect(challengeText(verdict as Refusal, link.id)).toBe('Bearer realm="shop-abcd1234", error="invalid_token"');
  });

  test("a rule's own message is the public text", async () => {
    const link = judged({ ...open, rules: [allow("/**"), deny("/admin/**", { message: "Admin access required" })] });
    expect(await answer(link, { ...(await bearer()), path: "/admin/x" })).toBe("rule_denied: Admin access required");
  });

  test("anonymous callers are asked for a token where a user would be let in", async () => {
    const link = judged({ userTokenMode: "OPTIONAL", rules: [allow("/api/users/{jwt.sub}/**"), allow("/public/**")] });
    const anonymous = { ...link, link: { ...link.link, linkTokenMode: "OFF" as const } };
    expect(await answer(anonymous, { path: "/public/x" })).toBe("allowed");
    expect(await answer(anonymous, { path: "/api/users/42" })).toMatch(/^token_missing/);
    expect(await answer(anonymous, { path: "/other" })).toMatch(/^rule_denied/);
  });

  test("with JWT verification off a claim never matches, whatever token is sent", async () => {
    const link = judged({ userTokenMode: "OFF", rules: [allow("/api/users/{jwt.sub}/**"), allow("/public/**")] });
    const appOnly = { ...link, link: { ...link.link, linkTokenMode: "OFF" as const } };
    expect(await answer(appOnly, { ...(await bearer()), path: "/api/users/42/x" })).toMatch(/^rule_denied/);
    expect(await answer(appOnly, { path: "/public/x" })).toBe("allowed");
  });
});

describe("revocation", () => {
  test("a withdrawn token is refused, also when it was verified before", async () => {
    const link = judged(open);
    const request = await bearer({ jti: "j1" });
    const revocations = new RevocationIndex();
    expect(await answer(link, request, revocations)).toBe("allowed");
    const target = { kind: "token", project: "p", id: "j1" } as const;
    const entry = revocationEntryOf({ target, expireTimeMs: NOW_MS + 1000 });
    revocations.set({ name: revocationStreamName("r"), version: 1n, entry });
    const verdict = await verdictOf(link, request, revocations);
    expect(verdict).toMatchObject({ code: "token_revoked", jwtError: "Token revoked" });
    expect(challengeText(verdict as Refusal, link.id)).toBe('Bearer realm="shop-abcd1234", error="invalid_token"');
  });
});

describe("compiling", () => {
  test("a link with a wrong field is refused with all of them", () => {
    const link = sampleLink({ rules: [allow("x")], audiences: ["a"], anyAudience: true });
    expect(() => compileLink({ link, linkTokens: [], issuers: [trust()] })).toThrow(
      expect.objectContaining({
        code: "field_invalid",
        violations: [
          { field: "link.any_audience", description: expect.any(String) },
          { field: "link.rules[0].path", description: "must begin with /" },
        ],
      }),
    );
  });

  test("a link whose issuer is not there is refused", () => {
    expect(() => compileLink({ link: sampleLink(), linkTokens: [], issuers: [] })).toThrow(/issuer that is not there/);
  });

  test("our own tokens must name the link, whatever audiences it lists", async () => {
    const keys = keyPair("EC", "k");
    const issuer = trust(
      { iss: "https://own.example", keys: { kind: "built_in" }, algorithms: ["ES256"] },
      { jwks: JSON.stringify({ keys: [keys.jwk] }) },
    );
    const link = judged({ ...open, audiences: ["api"], rules: [allow("/**")] }, [issuer]);
    const request = async (aud: string) => {
      const claims = goodClaims({ iss: "https://own.example", aud });
      const token = new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "k", typ: "at+jwt" });
      return { authorizations: [`Bearer ${await token.sign(keys.privateKey)}`] };
    };
    expect(await answer(link, await request(sampleLink().name))).toBe("allowed");
    expect(await answer(link, await request("api"))).toMatch(/^token_audience_mismatch/);
  });
});

test("nothing is ever allowed without a valid token, whatever is sent", async () => {
  const link = judged({ ...open, rules: [allow("/**")] });
  const good = await sign(goodClaims());
  const [head = "", payload = "", signature = ""] = good.split(".");
  const part = fc.constantFrom(head, payload, signature, "", "e30", "AAAA");
  const header = fc
    .record(
      {
        alg: fc.constantFrom("HS256", "none", "RS256", "ES256", ""),
        kid: fc.string(),
        typ: fc.constantFrom("JWT", "x"),
      },
      { requiredKeys: [] },
    )
    .map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"));
  const token = fc.oneof(
    fc.tuple(part, part, part).map((parts) => parts.join(".")),
    fc.tuple(header, fc.constant(payload), part).map((parts) => parts.join(".")),
    fc.string({ unit: "binary" }),
  );
  const line = fc.tuple(fc.constantFrom("Bearer ", "bearer ", "Basic ", ""), token).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 2 }), async (authorizations) => {
      const isGood =
        authorizations.length > 0 && authorizations.every((value) => value.replace(/^bearer /i, "") === good);
      const verdict = await answer(link, { authorizations, path: "/x" });
      if (verdict === "allowed") expect(isGood).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
