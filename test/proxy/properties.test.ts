// What holds for every request, whatever is in it: S13, S15 and "never 2xx without a valid token", with fast-check.
import { createHmac } from "node:crypto";
import type { Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  credentialLines,
  HMAC_SECRET,
  LINK_ID,
  LINK_TOKEN,
  rawExchange,
  startProxy,
  statusesOf,
  userToken,
} from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST = "Host: a.example\r\nConnection: close\r\n";

/** The proxy answers at once; what comes later is the end of an idle connection. */
const STAY_MAX_MS = 5_000;

const rejections: unknown[] = [];
const onRejection = (cause: unknown) => rejections.push(cause);
beforeEach(() => {
  rejections.length = 0;
  process.on("unhandledRejection", onRejection);
});
afterEach(() => {
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

/** The proxy lingers after a refusal, so that who is still sending can read it; who has read it may go. */
function leaveWhenRefused(socket: Socket): void {
  // An edited request may have lost its `Connection: close`.
  const timer = setTimeout(() => socket.destroy(), STAY_MAX_MS);
  socket.on("close", () => clearTimeout(timer));
  socket.on("data", (chunk) => {
    if (chunk.at(-1) === "}".charCodeAt(0)) socket.destroy();
  });
}

async function startBoth(basePath = "") {
  const upstream = await startRawUpstream((socket) => void socket.write(OK));
  const serverOptions = { headersTimeout: 60, connectionsCheckingInterval: 20, keepAliveTimeout: 50 };
  const proxy = await startProxy({ baseUrl: `${upstream.url}${basePath}`, serverOptions, bodyIdleMs: 60 });
  const send = (text: string) => rawExchange(proxy.port, Buffer.from(text, "latin1"), leaveWhenRefused);
  return { upstream, proxy, send };
}

const part = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Tokens that nobody valid has signed: valid ones changed by one edit, unsigned ones, arbitrary text. */
const forgedTokens = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom(..."abcABC019-_.=~ ")).map(([at, letter]) => {
    const token = userToken();
    const place = at % token.length;
    const edited = token.slice(0, place) + letter + token.slice(place + 1);
    return edited === token ? `${token}A` : edited;
  }),
  fc.tuple(fc.constantFrom("none", "None", "HS256", "HS384", "RS256", ""), fc.string()).map(([alg, signature]) => {
    return `${part({ alg, typ: "JWT" })}.${part({ sub: "user-1", exp: 4e9 })}.${part(signature)}`;
  }),
  fc.json().map((payload) => {
    const signed = `${part({ alg: "HS256" })}.${part(payload)}`;
    return `${signed}.${createHmac("sha256", `${HMAC_SECRET}x`).update(signed).digest("base64url")}`;
  }),
  fc.string({ unit: fc.constantFrom(..."abc.XYZ-_= ,;\t{}\"'") }),
);

test("nothing reaches the upstream without a valid token of the user", async () => {
  const { upstream, send } = await startBoth();
  const spellings = fc.constantFrom(
    "Bearer ",
    "bearer ",
    "BEARER  ",
    "Bearer\t",
    "",
    "Basic ",
    "DPoP ",
    "Bearer Bearer ",
  );
  await fc.assert(
    fc.asyncProperty(forgedTokens, spellings, async (token, scheme) => {
      const lines = `X-Access-Token: ${LINK_TOKEN}\r\nAuthorization: ${scheme}${token}\r\n`;
      const [status] = statusesOf(await send(`GET /${LINK_ID}/x HTTP/1.1\r\n${HOST}${lines}\r\n`));
      expect(status).toBeGreaterThanOrEqual(400);
    }),
    { numRuns: 400 },
  );
  expect(upstream.packets).toEqual([]);
});

test("nothing reaches the upstream without a valid link token", async () => {
  const { upstream, send } = await startBoth();
  const edited = fc.tuple(fc.nat(LINK_TOKEN.length - 1), fc.constantFrom(..."abcXYZ019_-.")).map(([at, letter]) => {
    const text = LINK_TOKEN.slice(0, at) + letter + LINK_TOKEN.slice(at + 1);
    return text === LINK_TOKEN ? `${text}0` : text;
  });
  const others = fc.string({ unit: fc.constantFrom(..."clpub_019 ,") });
  await fc.assert(
    fc.asyncProperty(fc.oneof(edited, others), async (text) => {
      const lines = `X-Access-Token: ${text}\r\nAuthorization: Bearer ${userToken()}\r\n`;
      const [status] = statusesOf(await send(`GET /${LINK_ID}/x HTTP/1.1\r\n${HOST}${lines}\r\n`));
      expect(status).toBeGreaterThanOrEqual(400);
    }),
    { numRuns: 200 },
  );
  expect(upstream.packets).toEqual([]);
});

test("S13: what is forwarded is the base path and what was judged, byte for byte, or nothing", async () => {
  const { upstream, send } = await startBoth("/base");
  const atoms = fc.constantFrom(
    ...["a", "B", "0", ".", "..", "/", "//", "%2e", "%2F", "%5c", "\\", ";", "%", "%0", "%00", "%25", "~", "@", ":"],
    ...["%c3%a9", "%ff", "'", "*", "(", "+", ",", "=", "&", "!", "$", "[", "|", "^", "`", "{", '"', "<"],
  );
  const paths = fc.array(atoms, { maxLength: 12 }).map((parts) => `/${parts.join("")}`);
  const queries = fc.array(fc.oneof(atoms, fc.constant("?")), { maxLength: 6 }).map((parts) => parts.join(""));
  let forwarded = 0;
  await fc.assert(
    fc.asyncProperty(paths, queries, async (path, query) => {
      const before = upstream.requests.length;
      const target = query === "" ? path : `${path}?${query}`;
      const [status] = statusesOf(await send(`GET /${LINK_ID}${target} HTTP/1.1\r\n${HOST}${credentialLines()}\r\n`));
      const seen = upstream.requests[before]?.split(" ", 2)[1];
      if (status === 200) expect(seen).toBe(`/base${target}`);
      else expect([status, seen]).toEqual([400, undefined]);
      forwarded += status === 200 ? 1 : 0;
    }),
    { numRuns: 500 },
  );
  expect(forwarded).toBeGreaterThan(50);
});

test("a broken request costs its connection and nothing else", async () => {
  const { upstream, send } = await startBoth();
  const whole = `POST /${LINK_ID}/x?q HTTP/1.1\r\n${HOST}${credentialLines()}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
  const pieces = fc.constantFrom(
    "\r",
    "\n",
    "\0",
    "\x7f",
    "\xff",
    " ",
    "\t",
    ":",
    "0",
    "HTTP/1.1",
    "\r\n\r\n",
    "GET / ",
    ";",
  );
  const edits = fc.array(fc.tuple(fc.nat(whole.length), fc.nat(20), pieces), { minLength: 1, maxLength: 3 });
  const mutants = edits.map((list) =>
    list.reduce((text, [at, cut, piece]) => text.slice(0, at) + piece + text.slice(at + cut), whole),
  );
  await fc.assert(
    fc.asyncProperty(mutants, async (mutant) => {
      const answer = await send(mutant);
      for (const status of statusesOf(answer)) expect(status === 200 || (status >= 400 && status < 502)).toBe(true);
    }),
    { numRuns: 400 },
  );
  for (const packet of upstream.packets) expect(packet).not.toContain(LINK_TOKEN);
  const good = await send(`GET /${LINK_ID}/x HTTP/1.1\r\n${HOST}${credentialLines()}\r\n`);
  expect(statusesOf(good)).toEqual([200]);
}, 30_000);
