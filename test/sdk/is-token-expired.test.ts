import { expect, test, vi } from "vitest";
import { isTokenExpired } from "../../sdk/src/index.ts";
import { fakeJwt } from "./fake-platform.ts";

const NOW = 1_800_000_000;

const expired = (token: unknown, leewaySeconds?: number) => {
  vi.spyOn(Date, "now").mockReturnValue(NOW * 1000);
  return isTokenExpired(token as string, leewaySeconds);
};

test("a token is expired from its exp on, or earlier by the leeway", () => {
  expect(expired(fakeJwt({ exp: NOW + 1 }))).toBe(false);
  expect(expired(fakeJwt({ exp: NOW }))).toBe(true);
  expect(expired(fakeJwt({ exp: NOW - 1 }))).toBe(true);
  expect(expired(fakeJwt({ exp: NOW + 60 }), 60)).toBe(true);
  expect(expired(fakeJwt({ exp: NOW + 61 }), 60)).toBe(false);
});

test("claims of any alphabet do not disturb the reading of exp", () => {
  expect(expired(fakeJwt({ name: 'Žofie 🦊 "\\', exp: NOW + 1 }))).toBe(false);
  for (let length = 0; length < 4; length++)
    expect(expired(fakeJwt({ p: "x".repeat(length), exp: NOW + 1 }))).toBe(false);
});

test.each([
  ["nothing", ""],
  ["null, as from an empty store", null],
  ["undefined", undefined],
  ["no JWT", "garbage"],
  ["two dots and no payload", ".."],
  ["a payload that is not base64url", "a.$$$.c"],
  ["a payload that is not JSON", `a.${Buffer.from("{").toString("base64url")}.c`],
  ["a payload that is null", `a.${Buffer.from("null").toString("base64url")}.c`],
  ["no exp", fakeJwt({ sub: "1" })],
  ["exp as text", fakeJwt({ exp: String(NOW + 100) })],
  ["exp beyond numbers", `a.${Buffer.from('{"exp":1e999}').toString("base64url")}.c`],
])("%s counts as expired", (_name, token) => {
  expect(expired(token)).toBe(true);
});
