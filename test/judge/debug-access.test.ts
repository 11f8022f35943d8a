import { describe, expect, test } from "vitest";
import { debugAccess } from "../../server/src/judge/debug-access.ts";
import { generateToken, hashToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";

const NOW_MS = 1_800_000_000_000;
const newKey = () => generateToken("debugKey", systemRandom).reveal();
const [mine, other] = [newKey(), newKey()];
const keys = [{ keyHash: hashToken(mine), expireTimeMs: NOW_MS + 1 }];

describe("X-Debug-JWT (contract.md 7)", () => {
  test.each([
    [[], "ON", "none"],
    [[""], "KEY", "none"],
    [["true"], "ON", "allowed"],
    [[" TRUE "], "ON", "allowed"],
    [["1"], "ON", "denied"],
    [["true"], "KEY", "denied"],
    [["true"], "OFF", "denied"],
    [[mine], "KEY", "allowed"],
    [[` ${mine} `], "KEY", "allowed"],
    [["true", mine], "KEY", "allowed"],
    [[mine], "ON", "allowed"],
    [[mine], "OFF", "denied"],
    [[other], "KEY", "denied"],
    [[`${mine}x`], "KEY", "denied"],
    [[mine.slice(0, -1)], "KEY", "denied"],
    [[generateToken("linkToken", systemRandom).reveal()], "KEY", "denied"],
  ] as const)("%j where debug is %s: %s", (values, mode, expected) => {
    expect(debugAccess(values, mode, keys, NOW_MS)).toBe(expected);
  });

  test("a key counts until the moment it expires", () => {
    expect(debugAccess([mine], "KEY", keys, NOW_MS + 1)).toBe("denied");
  });
});
