import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSignedWith, readRefreshToken, writeRefreshToken } from "../../server/src/model/refresh-token.ts";
import { base62, checksumOf } from "../../server/src/model/token-string.ts";

const KEY = new Uint8Array(32).fill(7);
const ID = "0b7c1f2e-3d4a-4b5c-8d9e-0f1a2b3c4d5e";
const text = writeRefreshToken(KEY, ID, 3).reveal();
const checked = (body: string) => `cl_rt_${body}_${checksumOf(`cl_rt_${body}`)}`;

describe("a refresh token", () => {
  test("has the prefix, 50 digits and a checksum, and reads back", () => {
    expect(text).toMatch(/^cl_rt_[0-9A-Za-z]{50}_[0-9A-Za-z]{6}$/);
    const read = readRefreshToken(text)!;
    expect(read).toMatchObject({ session: ID, counter: 3 });
    expect(isSignedWith(KEY, read)).toBe(true);
    expect(String(writeRefreshToken(KEY, ID, 3))).toBe("[secret]");
  });

  test("of any session and counter reads back, and no other key or change of a digit makes it valid", () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 6, max: 55 }),
        (id, counter, at) => {
          const token = writeRefreshToken(KEY, id, counter).reveal();
          const read = readRefreshToken(token)!;
          expect(read).toMatchObject({ session: id, counter });
          expect(isSignedWith(new Uint8Array(32), read)).toBe(false);
          const body = [...token.slice(6, 56)];
          body[at - 6] = body[at - 6] === "1" ? "2" : "1";
          const changed = readRefreshToken(checked(body.join("")));
          expect(changed === undefined || !isSignedWith(KEY, changed)).toBe(true);
        },
      ),
    );
  });

  test.each([
    ["nothing", ""],
    ["another prefix", text.replace("cl_rt_", "cl_key_")],
    ["a wrong checksum", `${text.slice(0, -1)}${text.endsWith("0") ? "1" : "0"}`],
    ["a digit more", `${text}0`],
    ["a space before", ` ${text}`],
    ["a line break after", `${text}\n`],
    ["a number too large", checked("z".repeat(50))],
    ["another version", checked(base62(2n << 288n, 50))],
  ])("with %s is refused without a look-up", (_what, garbage) => {
    expect(readRefreshToken(garbage)).toBeUndefined();
  });
});
