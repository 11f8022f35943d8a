import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EchoScanner } from "../../server/src/proxy/echo-scanner.ts";

/** What comes out for chunks, one text per chunk, the rest at the end. */
function scan(texts: readonly string[], chunks: readonly string[]) {
  const scanner = new EchoScanner(texts.map((text) => Buffer.from(text)));
  const parts = chunks.map((chunk) => Buffer.from(scanner.push(Buffer.from(chunk))).toString());
  return { parts, end: Buffer.from(scanner.end()).toString(), found: scanner.found };
}

describe("texts are blanked by as many stars", () => {
  test.each([
    [["a secret key"], ["a ****** key", ""], 1],
    [["a sec", "ret key"], ["a ", "****** key", ""], 1],
    [["s", "e", "c", "r", "e", "t", "!"], ["", "", "", "", "", "******", "!", ""], 1],
    [["secretsecret"], ["************", ""], 2],
    [["sesecret"], ["se******", ""], 1],
    [["a sec", "ond"], ["a ", "second", ""], 0],
    [["a sec"], ["a ", "sec"], 0],
    [["nothing"], ["nothing", ""], 0],
  ])("%j", (chunks, expected, found) => {
    const result = scan(["secret"], chunks);
    expect([...result.parts, result.end]).toEqual(expected);
    expect(result.found).toBe(found);
  });

  test("the longest of several first", () => {
    expect(scan(["secretXYZ", "secret"], ["secretXYZ, secret"]).parts).toEqual(["*********, ******"]);
  });
});

test("a chunk without the beginning of a text passes at once: events of a stream are not held up", () => {
  expect(scan(["secret"], ["data: 1\n\n"]).parts).toEqual(["data: 1\n\n"]);
});

test("the chunk it was given stays as it is", () => {
  const chunk = Buffer.from("a secret");
  new EchoScanner([Buffer.from("secret")]).push(chunk);
  expect(chunk.toString()).toBe("a secret");
});

test("however the stream is cut: same length, no text left, and what is not one is untouched", () => {
  const texts = ["abab", "abc", "cc"];
  const streams = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "x"), maxLength: 6 }), { maxLength: 12 });
  fc.assert(
    fc.property(streams, (chunks) => {
      const { parts, end } = scan(texts, chunks);
      const [whole, clean] = [chunks.join(""), parts.join("") + end];
      expect(clean.length).toBe(whole.length);
      for (const text of texts) expect(clean).not.toContain(text);
      for (const [at, character] of [...clean].entries()) if (character !== "*") expect(character).toBe(whole[at]);
      if (!texts.some((text) => whole.includes(text))) expect(clean).toBe(whole);
    }),
  );
});
