// The big list of naughty strings as claims, path segments, queries and header values, through the whole proxy.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  credentialLines,
  HMAC_SECRET,
  ISSUER,
  LINK_ID,
  rawExchange,
  startProxy,
  statusesOf,
} from "../proxy/harness.ts";
import { startRawUpstream } from "../proxy/raw-upstream.ts";
import { describeVectors } from "../support/vectors.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST = "Host: a.example\r\nConnection: close\r\n";
const part = (bytes: string | Uint8Array) => Buffer.from(bytes).toString("base64url");

function signed(payload: string | Uint8Array): string {
  const head = `${part('{"alg":"HS256"}')}.${part(payload)}`;
  return `${head}.${createHmac("sha256", HMAC_SECRET).update(head).digest("base64url")}`;
}

const tokenOf = (sub: string): string =>
  signed(JSON.stringify({ iss: ISSUER.iss, exp: Math.floor(Date.now() / 1000) + 300, sub }));

async function startBoth(path: string) {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const rule = { effect: "ALLOW" as const, methods: [], path, query: {}, claims: [], message: "" };
  const proxy = await startProxy({ baseUrl: upstream.url, link: { rules: [rule] } });
  /** Status, and the head that the upstream saw. */
  const send = async (target: string, lines: string) => {
    const before = upstream.requests.length;
    const request = `GET /${LINK_ID}${target} HTTP/1.1\r\n${HOST}${lines}\r\n`;
    const answer = await rawExchange(proxy.port, Buffer.from(request, "latin1"));
    return { status: statusesOf(answer)[0], seen: upstream.requests[before] };
  };
  return { upstream, send };
}

const valuesOf = (seen: string | undefined, name: string): string[] =>
  [...(seen ?? "").matchAll(new RegExp(`^${name}: ?(.*)\\r$`, "gim"))].map(([, value = ""]) => value);

describeVectors("json", (folder) => {
  const strings = JSON.parse(readFileSync(join(folder, "blns.json"), "utf8")) as string[];
  const isWhole = (text: string) => text === Buffer.from(text).toString();

  test("S16: as the subject each is one header line that decodes to itself, or the request is refused", async () => {
    const { send } = await startBoth("/**");
    for (const text of strings.filter(isWhole)) {
      const { status, seen } = await send("/x", credentialLines(tokenOf(text)));
      if (status !== 200) {
        expect([text, status, seen]).toEqual([text, 401, undefined]);
        continue;
      }
      const values = valuesOf(seen, "X-User-ID");
      expect(values.map((value) => decodeURIComponent(value))).toEqual([text]);
      expect(seen?.match(/^[^\r\n]*$/gm)?.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true);
    }
  });

  test("S13: as a subject in a template each opens its own segment and no other", async () => {
    const { upstream, send } = await startBoth("/u/{jwt.sub}");
    for (const text of strings.filter(isWhole)) {
      const own = encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
      const { seen } = await send(`/u/${own}`, credentialLines(tokenOf(text)));
      if (seen !== undefined) expect(seen.split(" ", 2)[1]).toBe(`/u/${own}`);
      const other = await send("/u/someone-else", credentialLines(tokenOf(text)));
      expect([text, other.seen]).toEqual([text, undefined]);
    }
    expect(upstream.requests.length).toBeGreaterThan(strings.length / 3);
  });

  test("as a header's value each arrives as it is, or the request is refused", async () => {
    const { send } = await startBoth("/**");
    for (const text of strings) {
      const bytes = Buffer.from(text).toString("latin1");
      const { status, seen } = await send("/x", `${credentialLines()}X-Naughty: ${bytes}\r\n`);
      if (status === 200) expect(valuesOf(seen, "X-Naughty")).toEqual([bytes.replaceAll(/^[ \t]+|[ \t]+$/g, "")]);
      else expect([text, status, seen]).toEqual([text, 400, undefined]);
    }
  });

  test("S6: in place of a token none is accepted", async () => {
    const { upstream, send } = await startBoth("/**");
    for (const text of strings) {
      const line = Buffer.from(text)
        .toString("latin1")
        .replaceAll(/[\r\n]/g, "");
      const { status } = await send("/x", credentialLines(line));
      expect([text, (status ?? 0) >= 400]).toEqual([text, true]);
    }
    expect(upstream.requests).toEqual([]);
  });

  test("S10: JSONTestSuite's texts as signed payloads pass the proxy only as objects with all that is required", async () => {
    const { files } = JSON.parse(readFileSync(join(folder, "JSONTestSuite_test_parsing.json"), "utf8")) as {
      readonly files: Readonly<Record<string, string>>;
    };
    const { upstream, send } = await startBoth("/**");
    for (const [name, text] of Object.entries(files)) {
      const { status } = await send("/x", credentialLines(signed(Buffer.from(text, "base64"))));
      expect([name, status]).toEqual([name, 401]);
    }
    expect(upstream.requests).toEqual([]);
  });
});
