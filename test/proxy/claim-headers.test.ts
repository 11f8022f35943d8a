// promises.md S16: a claim's value is one header line, whatever it holds; scored on the bytes the upstream received.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClaimHeader } from "../../server/src/model/link.ts";
import { IDENTITY_HEADERS } from "../../server/src/model/link.ts";
import { startHttpServer } from "../support/http-server.ts";
import { startProxy, userToken } from "./harness.ts";

const claimHeaders: ClaimHeader[] = [{ claim: "c", fallbackClaims: [], header: "X-Claim", ifMissing: "OMIT" }];

/** Sends tokens with these claims through one link, one after the other. */
async function openLink(headers: readonly ClaimHeader[] = claimHeaders) {
  const upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, link: { claimHeaders: headers } });
  const send = async (claims: Record<string, unknown>) => {
    upstream.clear();
    const answer = await proxy.call("/x", { headers: { authorization: `Bearer ${userToken(claims)}` } });
    return { status: answer.status, code: answer.headers.get("x-conduit-error"), seen: upstream.requests[0] };
  };
  return { send, [Symbol.asyncDispose]: () => upstream.close() };
}

describe("S16: what a claim becomes", () => {
  test.each<[what: string, claim: unknown, value: string]>([
    ["visible ASCII", "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"],
    ["inner spaces", "a  b", "a  b"],
    ["a space at an end", " a ", "%20a%20"],
    ["percent signs", "%0d%0a100%", "%250d%250a100%25"],
    ["UTF-8", "Žoë 🜁", "%C5%BDo%C3%AB %F0%9F%9C%81"],
    ["line separators beyond ASCII", "a\u0085b\u2028c", "a%C2%85b%E2%80%A8c"],
    ["other control characters", "a\tb\u0001c\u007f", "a%09b%01c%7F"],
    ["a provider's subject", "auth0|5f7c", "auth0|5f7c"],
    ["an e-mail address", "a@b.example", "a@b.example"],
    ["a number", 42, "42"],
    ["a fraction", -1.5, "-1.5"],
    ["false", false, "false"],
    ["zero", 0, "0"],
    ["an object", { a: ["é", "\r\n"], b: null }, '{"a":["%C3%A9","\\r\\n"],"b":null}'],
    ["a list", ["admin", "editor"], "admin, editor"],
    ["a list with inner spaces", ["a b", "c"], "a b, c"],
    ["a list of others", [1, true, "a,b"], '[1,true,"a,b"]'],
  ])("%s", async (_what, claim, value) => {
    await using link = await openLink();
    const { status, seen } = await link.send({ c: claim });
    expect([status, seen?.header("x-claim")]).toEqual([200, [value]]);
  });

  test.each<[what: string, claim: unknown]>([
    ["CR LF and a header", "a\r\nX-Admin: 1"],
    ["LF", "a\nb"],
    ["CR", "a\rb"],
    ["NUL", "a\u0000b"],
    ["an element with a comma", ["viewer,admin"]],
    ["an element with a line break", ["a\nb"]],
    ["an element with a C1 control", ["a\u0085b"]],
  ])("%s is refused, and nothing arrives", async (_what, claim) => {
    await using link = await openLink();
    expect(await link.send({ c: claim })).toEqual({ status: 401, code: "token_claim_invalid", seen: undefined });
  });

  test("any text is one line that decodes to itself, or nothing arrives", async () => {
    await using link = await openLink();
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 40 }), async (claim) => {
        const { status, seen } = await link.send({ c: claim });
        if (status !== 200) {
          expect([status, seen, claim]).toEqual([401, undefined, expect.stringMatching(/[\r\n\0]/)]);
          return;
        }
        const lines = seen?.header("x-claim") ?? [];
        expect(lines.map(decodeURIComponent)).toEqual([claim.toWellFormed()]);
        expect(lines[0]).toMatch(/^[\x20-\x7e]*$/);
      }),
      { numRuns: 60 },
    );
  });
});

describe("if_missing", () => {
  const must: ClaimHeader[] = [{ claim: "a.b", fallbackClaims: ["c"], header: "X-Claim", ifMissing: "DENY" }];

  test("DENY refuses a token with none of the claims, naming the first", async () => {
    await using link = await openLink(must);
    expect(await link.send({ a: {} })).toEqual({ status: 401, code: "token_claim_missing", seen: undefined });
    expect(await link.send({ a: { b: null } })).toMatchObject({ status: 401, seen: undefined });
    expect((await link.send({ c: "x" })).seen?.header("x-claim")).toEqual(["x"]);
    expect((await link.send({ a: { b: "y" }, c: "x" })).seen?.header("x-claim")).toEqual(["y"]);
  });

  test("OMIT sends no such header", async () => {
    await using link = await openLink();
    const { status, seen } = await link.send({});
    expect([status, seen?.header("x-claim")]).toEqual([200, []]);
  });

  test("no claim path reaches what is no claim", async () => {
    for (const claim of ["constructor", "__proto__", "toString", "list.length"]) {
      await using link = await openLink([{ claim, fallbackClaims: [], header: "X-Claim", ifMissing: "OMIT" }]);
      expect((await link.send({ list: ["a"] })).seen?.header("x-claim")).toEqual([]);
    }
  });
});

test("the preset identity: user, roles, tenant and scopes, each from the first claim there is", async () => {
  await using link = await openLink(IDENTITY_HEADERS);
  const sent = async (claims: Record<string, unknown>) => {
    const { seen } = await link.send(claims);
    return ["x-user-id", "x-user-roles", "x-tenant-id", "x-user-scopes"].map((name) => seen?.header(name)[0]);
  };
  expect(await sent({ roles: ["admin", "editor"], tenantId: "t1", tenant_id: "t2", scope: "a b" })).toEqual([
    ...["user-1", "admin, editor", "t1", "a b"],
  ]);
  expect(await sent({ role: "viewer", org_id: "o", scp: ["a", "b"] })).toEqual(["user-1", "viewer", "o", "a, b"]);
  expect(await sent({})).toEqual(["user-1", undefined, undefined, undefined]);
});
