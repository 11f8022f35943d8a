import { describe, expect, test } from "vitest";
import { judgeLinkToken } from "../../server/src/judge/link-token.ts";
import { challengeText, Refusal } from "../../server/src/judge/refusal.ts";
import type { CredentialMode } from "../../server/src/model/link.ts";
import type { LinkToken } from "../../server/src/model/link-token.ts";
import { generateToken, hashToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { judged, NOW_MS, sampleRequest, trust } from "./sample.ts";

const text = generateToken("linkToken", systemRandom).reveal();
const other = generateToken("linkToken", systemRandom).reveal();
const stored = (change: Partial<LinkToken> = {}): LinkToken => ({
  name: "projects/p/links/shop-abcd1234/tokens/web",
  displayName: "",
  tokenHash: hashToken(text),
  allowedOrigins: [],
  allowedAddresses: [],
  ...change,
});

function judge(
  accessTokens: readonly string[],
  {
    mode = "REQUIRED",
    token = {},
    ...change
  }: { mode?: CredentialMode; token?: Partial<LinkToken>; origin?: string; clientAddress?: string } = {},
) {
  const link = judged({ linkTokenMode: mode }, [trust()], [stored(token)]);
  const verdict = judgeLinkToken({ link, request: sampleRequest({ accessTokens, ...change }) }, NOW_MS);
  if (!(verdict instanceof Refusal)) return verdict.app.linkToken;
  return [verdict.code, challengeText(verdict, link.id)];
}

const MISSING = ["link_token_missing", 'Bearer realm="shop-abcd1234/app"'];
const INVALID = ["link_token_invalid", 'Bearer realm="shop-abcd1234/app", error="invalid_token"'];
const NAME = stored().name;

describe("modes", () => {
  test.each<[CredentialMode, readonly string[], unknown]>([
    ["REQUIRED", [text], NAME],
    ["REQUIRED", [], MISSING],
    ["REQUIRED", [" "], MISSING],
    ["REQUIRED", [other], INVALID],
    ["OPTIONAL", [text], NAME],
    ["OPTIONAL", [], undefined],
    ["OPTIONAL", [other], INVALID],
    ["OPTIONAL", ["garbage"], INVALID],
    ["OFF", [other], undefined],
    ["OFF", [text], undefined],
  ])("%s with %j: %j", (mode, accessTokens, expected) => {
    expect(judge(accessTokens, { mode })).toEqual(expected);
  });

  test("the missing token's text says what to do", () => {
    const verdict = judgeLinkToken({ link: judged(), request: sampleRequest() }, NOW_MS);
    expect(verdict).toMatchObject({
      detail: "Missing access token: send the link's token in the X-Access-Token header",
    });
  });
});

describe("one answer for every token that is not good", () => {
  test.each<[string, readonly string[], Partial<LinkToken>?]>([
    ["unknown", [other]],
    ["mistyped", [`${text.slice(0, -1)}${text.endsWith("a") ? "b" : "a"}`]],
    ["another kind", [generateToken("apiKey", systemRandom).reveal()]],
    ["two different ones", [text, other]],
    ["expired", [text], { expireTimeMs: NOW_MS }],
    ["joined by a comma", [`${text}, ${text}`]],
  ])("%s", (_name, accessTokens, token = {}) => {
    expect(judge(accessTokens, { token })).toEqual(INVALID);
  });

  test("the same token twice is one; surrounding spaces do not count", () => {
    expect(judge([text, ` ${text}`])).toBe(NAME);
  });

  test("a token is good until its last millisecond, also when it was seen before", () => {
    const link = judged({}, [trust()], [stored({ expireTimeMs: NOW_MS + 1 })]);
    const at = (nowMs: number) => judgeLinkToken({ link, request: sampleRequest({ accessTokens: [text] }) }, nowMs);
    expect(at(NOW_MS)).not.toBeInstanceOf(Refusal);
    expect(at(NOW_MS + 1)).toBeInstanceOf(Refusal);
  });
});

describe("restrictions", () => {
  const origins = { token: { allowedOrigins: ["https://app.example"] } };
  const networks = { token: { allowedAddresses: ["192.0.2.0/24", "2001:db8::/32"] } };

  test.each([
    ["https://app.example", NAME],
    ["https://app.example.evil.example", ["origin_denied", undefined]],
    ["https://APP.example", ["origin_denied", undefined]],
    ["null", ["origin_denied", undefined]],
    [undefined, ["origin_denied", undefined]],
  ])("origin %s: %j", (origin, expected) => {
    expect(judge([text], { ...origins, ...(origin !== undefined && { origin }) })).toEqual(expected);
  });

  test.each([
    ["192.0.2.255", NAME],
    ["::ffff:192.0.2.1", NAME],
    ["2001:db8:ffff::1", NAME],
    ["192.0.3.1", ["address_denied", undefined]],
    ["2001:db9::1", ["address_denied", undefined]],
    ["not an address", ["address_denied", undefined]],
  ])("address %s: %j", (clientAddress, expected) => {
    expect(judge([text], { ...networks, clientAddress })).toEqual(expected);
  });

  test("a network that cannot be read admits nobody", () => {
    expect(judge([text], { token: { allowedAddresses: ["x"] } })).toEqual(["address_denied", undefined]);
  });
});
