import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { searchFor } from "./secret-search.ts";

const TEXT = "cl_key_7fK2pQ7xLw4ZtR8vNs3bHd";
const BYTES = Buffer.from("00ff10fe20fd30fc40fb50fa60f9", "hex");
const search = searchFor(
  new Map<string, string | Buffer>([
    ["text", TEXT],
    ["bytes", BYTES],
  ]),
);

/** The spelling between random bytes, at an odd place. */
const planted = (spelling: string | Buffer) =>
  Buffer.concat([randomBytes(1013), Buffer.from(spelling as string), randomBytes(517)]);

const SPELLINGS: readonly (readonly [name: string, spelling: string | Buffer])[] = [
  ["raw", TEXT],
  ["hex", Buffer.from(TEXT).toString("hex")],
  ["HEX", Buffer.from(TEXT).toString("hex").toUpperCase()],
  ...[0, 1, 2].flatMap((shift) =>
    (["base64", "base64url"] as const).map(
      (form) => [`${form} at ${shift}`, Buffer.from(`${"#".repeat(shift)}${TEXT}#?>`).toString(form)] as const,
    ),
  ),
  ["UTF-16LE", Buffer.from(TEXT, "utf16le")],
  ["UTF-16BE", Buffer.from(TEXT, "utf16le").swap16()],
];

test.each(SPELLINGS)("a secret is found as %s", (name, spelling) => {
  expect(search.find(planted(spelling))).toContain(`text (${name})`);
});

test("bytes are found raw, at the very end and at the very beginning; what is cut off is not", () => {
  expect(search.find(BYTES)).toEqual(["bytes (raw)"]);
  expect(search.find(Buffer.concat([randomBytes(99), BYTES]))).toEqual(["bytes (raw)"]);
  expect(search.find(Buffer.concat([BYTES.subarray(0, -1)]))).toEqual([]);
  expect(search.find(randomBytes(1_000_000))).toEqual([]);
});
