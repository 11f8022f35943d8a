import { describe, expect, test } from "vitest";
import type { JudgedRequest } from "../../server/src/judge/judged-request.ts";
import { Refusal } from "../../server/src/judge/refusal.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import type { Link } from "../../server/src/model/link.ts";
import type { LinkToken } from "../../server/src/model/link-token.ts";
import { fakeClock, goodClaims, judged, sampleRequest, sign, trust } from "./sample.ts";

const good = await sign(goodClaims());
const other = await sign(goodClaims({ sub: "43" }));
const APP = "https://app.example";
const SAME_SITE = { fetchSites: ["same-site"] };
const PLACES = { userTokenCookie: "session", userTokenQuery: "access_token" } as const;

const boundToken: LinkToken = {
  name: "projects/p/links/shop-abcd1234/tokens/web",
  displayName: "",
  tokenHash: "00",
  allowedOrigins: ["https://bound.example"],
  allowedAddresses: [],
};

async function judge(request: Partial<JudgedRequest>, change: Partial<Link> = {}, linkToken?: string) {
  const link = judged({ ...PLACES, ...change }, [trust()], [boundToken]);
  const routed = { link, request: sampleRequest(request), app: { linkToken } };
  const verdict = await judgeUserToken(routed, fakeClock().clock);
  if (verdict instanceof Refusal) return verdict.code;
  return [verdict.user?.claims.sub ?? "anonymous", verdict.request.query];
}

describe("a token from a cookie (S9)", () => {
  const cookies = [`a=1; session=${good}; b=2`];

  test.each<[string, Partial<JudgedRequest>]>([
    ["same-site", { fetchSites: ["same-site"] }],
    ["same-origin", { fetchSites: ["same-origin"] }],
    ["an origin the link lists", { origin: APP }],
    ["an origin one of the link's tokens is bound to", { origin: "https://bound.example" }],
  ])("counts from a page that is %s", async (_what, request) => {
    expect(await judge({ cookies, ...request }, { cors: { origins: [APP], headers: [], credentials: true } })).toEqual([
      "42",
      "",
    ]);
  });

  test("counts with a valid link token, which no other site's page can send along", async () => {
    expect(await judge({ cookies }, {}, boundToken.name)).toEqual(["42", ""]);
  });

  test.each<[string, Partial<JudgedRequest>]>([
    ["nothing that says where from", {}],
    ["cross-site", { fetchSites: ["cross-site"] }],
    ["none, a typed address", { fetchSites: ["none"] }],
    ["two answers to one question", { fetchSites: ["same-origin", "cross-site"] }],
    ["another spelling", { fetchSites: ["SAME-ORIGIN"] }],
    ["an origin nobody lists", { origin: "https://evil.example" }],
    ["the origin null", { origin: "null" }],
    ["a link token that was not looked at", { accessTokens: ["cl_pub_x"] }],
  ])("is refused with %s", async (_what, request) => {
    expect(await judge({ cookies, ...request }, { linkTokenMode: "OFF" })).toBe("csrf_rejected");
  });

  test("of another name, or empty, is none", async () => {
    for (const text of [`Session=${good}`, `xsession=${good}`, "session=", 'session=""', `a="session=${good}"`]) {
      expect(await judge({ cookies: [text], ...SAME_SITE })).toBe("token_missing");
    }
  });

  test("may stand in quotes, in any of several lines, and repeat itself", async () => {
    expect(await judge({ cookies: ["a=1", `session="${good}"`], ...SAME_SITE })).toEqual(["42", ""]);
    expect(await judge({ cookies: [`session=${good}; session=${good}`], ...SAME_SITE })).toEqual(["42", ""]);
  });

  test("is not looked at on a link that does not say so", async () => {
    const link = judged();
    const request = sampleRequest({ cookies, ...SAME_SITE });
    const verdict = await judgeUserToken({ link, request, app: { linkToken: undefined } }, fakeClock().clock);
    expect(verdict).toMatchObject({ code: "token_missing" });
  });
});

describe("a token in the query", () => {
  test.each([
    [`access_token=${good}`, ""],
    [`a=1&access_token=${good}&b=%20+x`, "a=1&b=%20+x"],
    [`a=1&access%5Ftoken=${good}`, "a=1"],
    [`access_token=${good}&access_token=${good}&`, ""],
    [`a;b&access_token=${good}`, "a;b"],
    [`access_token=&access_token=${good}`, ""],
  ])("%# is taken out: nobody behind the proxy sees it", async (query, rest) => {
    expect(await judge({ query })).toEqual(["42", rest]);
  });

  test("is taken out where it is not looked at, too", async () => {
    const off = { userTokenMode: "OFF", linkTokenMode: "REQUIRED", issuers: [] } as const;
    expect(await judge({ query: `x=1&access_token=${good}` }, off)).toEqual(["anonymous", "x=1"]);
  });

  test("empty is none", async () => {
    expect(await judge({ query: "access_token=&a" })).toBe("token_missing");
    expect(await judge({ query: "access_token" }, { userTokenMode: "OPTIONAL" })).toEqual(["anonymous", ""]);
  });

  test("that a server splitting at ; would still see is ambiguous", async () => {
    expect(await judge({ query: `a=1;access_token=${other}&access_token=${good}` })).toBe("token_ambiguous");
    expect(await judge({ query: `a=1;access_token=${good}` })).toBe("token_ambiguous");
  });
});

describe("tokens in several places", () => {
  test.each<[string, Partial<JudgedRequest>]>([
    ["header and cookie", { authorizations: [`Bearer ${good}`], cookies: [`session=${other}`], ...SAME_SITE }],
    ["header and query", { authorizations: [`Bearer ${good}`], query: `access_token=${other}` }],
    ["cookie and query", { cookies: [`session=${good}`], query: `access_token=${other}`, ...SAME_SITE }],
    ["two cookies", { cookies: [`session=${good}; session=${other}`], ...SAME_SITE }],
    ["two parameters", { query: `access_token=${good}&access_token=${other}` }],
  ])("%s that differ are ambiguous", async (_what, request) => {
    expect(await judge(request)).toBe("token_ambiguous");
  });

  test("the same one is one; what the page itself sent needs no word about its origin", async () => {
    const cookies = [`session=${good}`];
    expect(await judge({ cookies, authorizations: [`Bearer ${good}`] })).toEqual(["42", ""]);
    expect(await judge({ cookies, query: `access_token=${good}` })).toEqual(["42", ""]);
  });
});
