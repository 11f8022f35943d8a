// JSONTestSuite's texts as payloads of tokens that are otherwise good (promise S10).
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseStrictForm } from "../../server/src/jwt/strict-form.ts";
import { TokenFault } from "../../server/src/jwt/token-fault.ts";
import { verifyToken } from "../../server/src/jwt/verify.ts";
import { fakeClock, ISS, NOW_S, SECRET, trust } from "../judge/sample.ts";
import { describeVectors } from "../support/vectors.ts";

/** Must be accepted by any JSON parser, but are no claims of one reading. */
const AMBIGUOUS = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

const part = (bytes: string | Uint8Array) => Buffer.from(bytes).toString("base64url");

describeVectors("json", (path) => {
  const { files } = JSON.parse(readFileSync(join(path, "JSONTestSuite_test_parsing.json"), "utf8")) as {
    readonly files: Readonly<Record<string, string>>;
  };
  const all = Object.entries(files).map(([name, text]) => ({ name, bytes: Buffer.from(text, "base64") }));
  const isRead = (bytes: Uint8Array) =>
    !(parseStrictForm(`${part('{"alg":"HS256"}')}.${part(bytes)}.AAAA`) instanceof TokenFault);
  const inClaim = (bytes: Uint8Array) =>
    Buffer.concat([Buffer.from(`{"iss":"${ISS}","exp":${NOW_S + 60},"x":`), bytes, Buffer.from("}")]);

  test("what must be rejected is rejected, as the payload and within it", () => {
    const wrong = all.filter(({ name }) => name.startsWith("n_"));
    expect(wrong.filter(({ bytes }) => isRead(bytes)).map(({ name }) => name)).toEqual([]);
    // Some are good when followed by a brace; those that end what they began must stay wrong inside.
    const inside = wrong.filter(({ bytes }) => isRead(inClaim(bytes))).map(({ name }) => name);
    expect(inside).toEqual([]);
    expect(wrong.length).toBeGreaterThan(150);
  });

  test("what must be accepted is accepted where it is an object, and within one", () => {
    const right = all.filter(({ name }) => name.startsWith("y_"));
    const objects = right.filter(({ bytes }) => /^\s*\{/.test(bytes.toString()));
    const refused = (list: typeof all, wrap: (bytes: Buffer) => Uint8Array) =>
      list.filter(({ bytes }) => !isRead(wrap(bytes))).map(({ name }) => name);
    expect(refused(objects, (bytes) => bytes)).toEqual(AMBIGUOUS);
    expect(refused(right, inClaim)).toEqual(AMBIGUOUS);
    expect(right.length).toBeGreaterThan(80);
  });

  test("a signed token with any of the texts in a claim is accepted or malformed, and nothing else happens", async () => {
    const policy = { issuers: [trust()], audiencesOf: () => undefined };
    for (const { name, bytes } of all) {
      const head = `${part('{"alg":"HS256"}')}.${part(inClaim(bytes))}`;
      const token = `${head}.${createHmac("sha256", SECRET).update(head).digest("base64url")}`;
      const verdict = await verifyToken(token, policy, fakeClock().clock);
      const isAccepted = !(verdict instanceof TokenFault);
      if (!isAccepted) expect([name, verdict.code]).toEqual([name, "token_malformed"]);
      expect(isAccepted && name.startsWith("n_") ? name : "").toBe("");
    }
  });
});
