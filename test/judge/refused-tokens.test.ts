// S11 for the other cache: refusals of a moment ago.
import { expect, test } from "vitest";
import type { JudgedLink } from "../../server/src/judge/judged-link.ts";
import { Refusal } from "../../server/src/judge/refusal.ts";
import { RefusedTokens } from "../../server/src/judge/refused-tokens.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import type { Issuer } from "../../server/src/model/issuer.ts";
import { fakeClock, forge, goodClaims, judged, NOW_S, sampleRequest, sign, trust } from "./sample.ts";

const forged = await sign(goodClaims(), {}, "x".repeat(40));

function setUp(change: Partial<Issuer> = {}) {
  const time = fakeClock();
  const refused = new RefusedTokens();
  const judge = (link: JudgedLink, token: string) =>
    judgeUserToken(
      {
        link,
        request: sampleRequest({ authorizations: [`Bearer ${token}`] }),
        app: { linkToken: undefined },
      },
      time.clock,
      refused,
    );
  const codeOf = async (link: JudgedLink, token: string) => {
    const verdict = await judge(link, token);
    return verdict instanceof Refusal ? verdict.code : "accepted";
  };
  return { time, judge, codeOf, link: judged({}, [trust(change)]) };
}

test("S11: a refused token is answered at once for five seconds, then verified again", async () => {
  const { time, judge, codeOf, link } = setUp();
  expect(await codeOf(link, forged)).toBe("token_signature_invalid");
  expect(judge(link, forged)).toBeInstanceOf(Refusal);
  time.advance(4_999);
  expect(judge(link, forged)).toBeInstanceOf(Refusal);
  time.advance(1);
  expect(judge(link, forged)).toBeInstanceOf(Promise);
});

test("S11: a refusal answers for no other token and no other link, nor for the link after a change", async () => {
  const { judge, codeOf, link } = setUp();
  await codeOf(link, forged);
  expect(await codeOf(link, await sign(goodClaims()))).toBe("accepted");
  expect(judge(judged(), forged)).toBeInstanceOf(Promise);
});

test("S11: what may be right in a moment is not kept", async () => {
  const { time, codeOf, link } = setUp({ clockLeewayMs: 0 });
  const early = await sign(goodClaims({ iat: NOW_S, nbf: NOW_S + 2 }));
  expect(await codeOf(link, early)).toBe("token_not_yet_valid");
  time.advance(2_000);
  expect(await codeOf(link, early)).toBe("accepted");
});

test("what costs no signature is not kept", async () => {
  const { judge, codeOf, link } = setUp();
  for (const token of ["garbage", forge({ alg: "none" }, goodClaims(), "")]) {
    await codeOf(link, token);
    expect(judge(link, token)).toBeInstanceOf(Promise);
  }
});

test("the number of kept refusals is bounded, whoever sends them", () => {
  const refused = new RefusedTokens();
  const link = judged();
  const refusal = new Refusal("token_expired");
  for (let at = 0; at < 2_050; at += 1) refused.add(link, `token ${at}`, refusal, 0);
  expect([49, 50, 2_049].map((at) => refused.get(link, `token ${at}`, 0) !== undefined)).toEqual([false, true, true]);
  refused.add(link, "x".repeat(4097), refusal, 0);
  expect(refused.get(link, "x".repeat(4097), 0)).toBeUndefined();
});
