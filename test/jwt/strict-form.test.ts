import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictForm } from "../../server/src/jwt/strict-form.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { forge } from "../judge/sample.ts";

const HEADER = { alg: "HS256" };
const faultOf = (text: string) => {
  const parsed = parseStrictForm(text);
  return parsed instanceof TokenFault ? [parsed.code, parsed.jwtError] : undefined;
};
const MALFORMED = ["token_malformed", "Malformed token"];
const good = forge(HEADER, { sub: "42" });

/** Headers or payloads as bytes, since JSON.stringify would repair them. */
const raw = (...bytes: readonly (string | number)[]) =>
  Buffer.concat(bytes.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.of(part)))).toString(
    "base64url",
  );
const withPayload = (payload: string) => `${raw(JSON.stringify(HEADER))}.${payload}.AAAA`;

describe("S6: compact form", () => {
  test("a token is read without being changed", () => {
    const text = forge(
      { alg: "ES256", kid: "k", typ: "JWT" },
      { sub: "42", a: { b: [1, "\u00e9\ud83d\ude00", null] } },
    );
    expect(parseStrictForm(text)).toEqual({
      text,
      algorithm: "ES256",
      kid: "k",
      typ: "JWT",
      payloadPart: text.split(".")[1],
      claims: { sub: "42", a: { b: [1, "\u00e9\ud83d\ude00", null] } },
    });
  });

  test.each([
    ["empty", ""],
    ["one part", "abc"],
    ["two parts", good.split(".").slice(0, 2).join(".")],
    ["four parts", `${good}.AAAA`],
    ["six parts", `${good}.A.A.A`],
    ["padding", good.replace(/AAAA$/, "AAA=")],
    ["standard alphabet", good.replace(/AAAA$/, "AA+/")],
    ["a space", `${good} `],
    ["a line break", `${good}\n`],
    ["a stray bit in the last character, length 2", good.replace(/AAAA$/, "AB")],
    ["a stray bit in the last character, length 3", good.replace(/AAAA$/, "AAB")],
    ["a length that no bytes have", good.replace(/AAAA$/, "AAAAA")],
    ["JSON serialisation", JSON.stringify({ payload: "e30", protected: "e30", signature: "" })],
    ["more than 16 KiB", forge(HEADER, { a: "x".repeat(16 * 1024) })],
    ["non-ASCII", `${good}é`],
    ["no header", `.${good.split(".")[1]}.AAAA`],
    ["no payload", `${good.split(".")[0]}..AAAA`],
  ])("%s is refused", (_name, text) => {
    expect(faultOf(text)).toEqual(MALFORMED);
  });

  test("five parts are named as what they are", () => {
    const text = "Encrypted tokens (JWE) are not supported";
    expect(parseStrictForm(`${raw('{"alg":"dir"}')}....`)).toMatchObject({ jwtError: text, texts: { detail: text } });
  });

  test("our own opaque tokens are told where they belong", () => {
    const detailOf = (text: string) => (parseStrictForm(text) as TokenFault).texts.detail;
    expect(detailOf("cl_pub_abc_def")).toContain("X-Access-Token");
    expect(detailOf("cl_key_abc_def")).toContain("API");
  });

  test("one token has one spelling: whatever is read, re-encodes to the same text", () => {
    const character = fc.constantFrom(..."ABCQgwxyz0189-_=+/. ");
    const part = fc.string({ unit: character, maxLength: 6 });
    fc.assert(
      fc.property(part, (signature) => {
        const isRead = faultOf(good.replace(/AAAA$/, signature)) === undefined;
        const isCanonical = Buffer.from(signature, "base64url").toString("base64url") === signature;
        expect(isRead).toBe(isCanonical);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("S7: header", () => {
  test.each<[string, unknown]>([
    ["no alg", {}],
    ["alg that is no text", { alg: ["HS256"] }],
    ["kid that is no text", { alg: "HS256", kid: 1 }],
    ["typ that is no text", { alg: "HS256", typ: {} }],
    ["crit", { alg: "HS256", crit: ["exp"], exp: 1 }],
    ["empty crit", { alg: "HS256", crit: [] }],
    ["b64 false", { alg: "HS256", b64: false, crit: ["b64"] }],
    ["b64 without crit", { alg: "HS256", b64: true }],
    ["jwk", { alg: "ES256", jwk: { kty: "EC" } }],
    ["jku", { alg: "RS256", jku: "https://evil.example/jwks" }],
    ["x5u", { alg: "RS256", x5u: "https://evil.example/x" }],
    ["x5c", { alg: "RS256", x5c: ["MII="] }],
    ["an array", []],
    ["text", '"HS256"'],
    ["duplicate alg", '{"alg":"HS256","alg":"none"}'],
    ["duplicate alg in another spelling", '{"alg":"HS256","\\u0061lg":"none"}'],
    ["prototype name", '{"alg":"HS256","__proto__":{"kid":"x"}}'],
  ])("%s is refused", (_name, header) => {
    expect(faultOf(forge(header, {}))).toEqual(MALFORMED);
  });
});

describe("S10: payload", () => {
  test.each([
    ["an array", raw("[]")],
    ["null", raw("null")],
    ["a number", raw("1")],
    ["text", raw('"x"')],
    ["nothing", ""],
    ["two values", raw("{}{}")],
    ["a byte order mark", raw(0xef, 0xbb, 0xbf, "{}")],
    ["UTF-16", Buffer.from("{}", "utf16le").toString("base64url")],
    ["invalid UTF-8", raw('{"sub":"', 0xff, '"}')],
    ["overlong UTF-8", raw('{"sub":"', 0xc0, 0xae, '"}')],
    ["a surrogate in UTF-8", raw('{"sub":"', 0xed, 0xa0, 0x80, '"}')],
    ["a lone surrogate", raw('{"sub":"\\ud800"}')],
    ["a lone surrogate in a name", raw('{"\\udc00":1}')],
    ["a member twice", raw('{"sub":"1","sub":"2"}')],
    ["a member twice, deeper", raw('{"a":[{"b":{"c":1,"d":2,"c":1}}]}')],
    ["a member twice, escaped", raw('{"sub":"1","s\\u0075b":"2"}')],
    ["__proto__", raw('{"__proto__":{"sub":"1"}}')],
    ["constructor, deeper", raw('{"a":{"constructor":1}}')],
    ["prototype, escaped", raw('{"\\u0070rototype":1}')],
    ["deep arrays", raw(`{"a":${"[".repeat(16)}${"]".repeat(16)}}`)],
    ["deep objects", raw(`${'{"a":'.repeat(17)}1${"}".repeat(17)}`)],
    ["very deep arrays", raw(`{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`)],
  ])("%s is refused", (_name, payload) => {
    expect(faultOf(withPayload(payload))).toEqual(MALFORMED);
  });

  test.each([
    ["names that stand in strings and in other objects", '{"a":"\\"a\\":{[","b":{"a":1},"c":[{"a":1},{"a":2}]}'],
    ["16 levels", `{"a":${"[".repeat(15)}${"]".repeat(15)}}`],
    ["escaped quotes and backslashes", '{"a":"\\\\","b\\"":"\\\\\\"","c":"x"}'],
    ["escaped pairs of surrogates", '{"a":"\\ud83d\\ude00"}'],
  ])("%s pass", (_name, payload) => {
    expect(faultOf(withPayload(raw(payload)))).toBeUndefined();
  });

  test("any JSON object that JSON.stringify writes is read as it was, unless it is deep or has a prototype's names", () => {
    const value = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 6, stringUnit: "grapheme" }));
    fc.assert(
      fc.property(value, (claims) => {
        const text = JSON.stringify(claims);
        fc.pre(!/"(__proto__|constructor|prototype)":/.test(text) && text.length < 8000);
        expect(parseStrictForm(withPayload(raw(text)))).toMatchObject({ claims: JSON.parse(text) as object });
      }),
    );
  });
});
