// S9: what an issuer may ask of tokens besides a signature.
import { expect, test } from "vitest";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { verifyToken, type WantedAudiences } from "../../server/src/jwt/verify.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import { fakeClock, goodClaims, NOW_S, sign, trust } from "../judge/sample.ts";

async function outcome(
  issuer: Partial<Issuer>,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  wanted?: WantedAudiences,
) {
  const policy = { issuers: [trust(issuer)], audiencesOf: () => wanted };
  const verdict = await verifyToken(await sign(goodClaims(claims), header), policy, fakeClock().clock);
  return verdict instanceof TokenFault ? `${verdict.code}: ${verdict.jwtError}` : "accepted";
}

const at = (iat: number, seconds: number) => ({ iat, exp: iat + seconds });

test.each([
  [at(NOW_S, 3_600), "accepted"],
  [at(NOW_S, 3_600.001), "token_claim_invalid: Invalid claim: exp"],
  [at(NOW_S - 3_000, 3_600), "accepted"],
  [at(NOW_S, 86_400), "token_claim_invalid: Invalid claim: exp"],
  [{ iat: undefined, exp: NOW_S + 10 }, "token_claim_missing: Missing required claim: iat"],
  [{ iat: -1e15, exp: NOW_S + 10 }, "token_claim_invalid: Invalid claim: exp"],
])("S9: with a longest lifetime of an hour, %j is %s", async (claims, expected) => {
  expect(await outcome({ maxLifetimeMs: 3_600_000 }, claims)).toBe(expected);
});

test("S9: without one a day's token passes", async () => {
  expect(await outcome({}, at(NOW_S, 86_400))).toBe("accepted");
});

const WRONG_TYPE = "token_type_mismatch: Wrong token type";

test.each<[readonly string[], string | undefined, string]>([
  [["at+jwt"], "at+jwt", "accepted"],
  [["at+jwt"], "AT+JWT", "accepted"],
  [["at+jwt"], "application/at+jwt", "accepted"],
  [["application/AT+jwt"], "at+jwt", "accepted"],
  [["at+jwt"], "JWT", WRONG_TYPE],
  [["at+jwt"], undefined, WRONG_TYPE],
  [["vendor-access+jwt", "JWT"], "vendor-access+jwt", "accepted"],
  [["JWT"], "at+jwt", WRONG_TYPE],
  [["JWT"], "logout+jwt", WRONG_TYPE],
])("S9: an issuer that takes %j judges %s as %s", async (acceptedTypes, typ, expected) => {
  expect(await outcome({ acceptedTypes }, {}, { typ })).toBe(expected);
});

const MISMATCH = "token_audience_mismatch: Invalid audience";

test.each<[unknown, readonly string[], boolean, string]>([
  ["a", ["a", "b"], false, "accepted"],
  ["a", ["a", "b"], true, MISMATCH],
  [["b", "x", "a"], ["a", "b"], true, "accepted"],
  [["a", "a"], ["a", "b"], true, MISMATCH],
  [["A", "b"], ["a", "b"], true, MISMATCH],
  [undefined, ["a"], true, MISMATCH],
  [[], ["a"], false, MISMATCH],
  [["a", 7], ["a"], false, "token_claim_invalid: Invalid claim: aud"],
])("S9: aud %j against %j, all of them: %s → %s", async (aud, names, needsAll, expected) => {
  expect(await outcome({}, { aud }, {}, { names, needsAll })).toBe(expected);
});

test("S9: Cognito's client_id counts as the audience only where the issuer says so, and aud does not count then", async () => {
  const wanted = { names: ["client"], needsAll: false };
  const cognito = { audienceClaim: "client_id" };
  expect(await outcome(cognito, { client_id: "client" }, {}, wanted)).toBe("accepted");
  expect(await outcome(cognito, { client_id: "other", aud: "client" }, {}, wanted)).toBe(MISMATCH);
  expect(await outcome(cognito, { aud: "client" }, {}, wanted)).toBe(MISMATCH);
  expect(await outcome({}, { client_id: "client" }, {}, wanted)).toBe(MISMATCH);
  expect(await outcome({ audienceClaim: "constructor" }, {}, {}, wanted)).toBe(MISMATCH);
});
