// contract.md 2: tokens from a cookie or the query, scored on what the upstream received.
import { expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { LINK_ID, LINK_TOKEN, type LinkChanges, rawExchange, startProxy, statusesOf, userToken } from "./harness.ts";

const PLACES: LinkChanges = { userTokenCookie: "session", userTokenQuery: "access_token" };

async function send(target: string, lines: string, link: LinkChanges = PLACES) {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: `${upstream.url}/v1`, link });
  const head = `GET /${LINK_ID}${target} HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\n${lines}\r\n`;
  const answer = await rawExchange(proxy.port, head);
  const code = /X-Conduit-Error: (\w+)/.exec(answer)?.[1];
  return { status: statusesOf(answer)[0], code, seen: upstream.requests, logged: proxy.logLines.join() };
}

const ACCESS = `X-Access-Token: ${LINK_TOKEN}\r\n`;

test("S9: a cookie's token lets its user in, and the cookie stays here", async () => {
  const token = userToken();
  const { status, seen } = await send("/x", `${ACCESS}Cookie: theme=dark; session=${token}\r\n`);
  expect(status).toBe(200);
  expect(seen[0]?.headers).toContainEqual(["X-User-ID", "user-1"]);
  expect(JSON.stringify(seen[0]?.headers)).not.toContain(token);
  expect(JSON.stringify(seen[0]?.headers).toLowerCase()).not.toContain("cookie");
});

test("S9: without a link token, a same-site page or a listed origin nothing reaches the upstream", async () => {
  const optional: LinkChanges = { ...PLACES, linkTokenMode: "OPTIONAL" };
  const cookie = `Cookie: session=${userToken()}\r\n`;
  for (const lines of ["", "Sec-Fetch-Site: cross-site\r\n", "Origin: https://evil.example\r\n"]) {
    const { status, code, seen } = await send("/x", lines + cookie, optional);
    expect([status, code, seen]).toEqual([403, "csrf_rejected", []]);
  }
  for (const lines of ["Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: same-site\r\n"]) {
    expect((await send("/x", lines + cookie, optional)).status).toBe(200);
  }
});

test("a query's token is taken out before the upstream, everything else passes to the byte, and no log has it", async () => {
  const token = userToken();
  const { status, seen, logged } = await send(`/x?a=%20+1&access_token=${token}&&b=c%2Fd`, ACCESS);
  expect([status, seen[0]?.target]).toEqual([200, "/v1/x?a=%20+1&&b=c%2Fd"]);
  expect(JSON.stringify(seen)).not.toContain(token);
  expect(logged).not.toContain(token.slice(-20));
  expect((await send(`/x?access%5ftoken=${token}`, ACCESS)).seen[0]?.target).toBe("/v1/x");
});

test("rules are asked about the query as it is sent", async () => {
  const rule = { effect: "DENY", methods: [], path: "/**", query: { access_token: "x" }, claims: [], message: "" };
  const all = { ...rule, effect: "ALLOW", query: {} } as const;
  const link = { ...PLACES, rules: [all, { ...rule, effect: "DENY" as const }] };
  expect((await send(`/x?access_token=${userToken()}`, ACCESS, link)).status).toBe(200);
});

test("a link that reads tokens from no query sends a parameter of that name on", async () => {
  const lines = `${ACCESS}Authorization: Bearer ${userToken()}\r\n`;
  expect((await send("/x?access_token=1&", lines, {})).seen[0]?.target).toBe("/v1/x?access_token=1&");
});

test("two differing tokens are one too many", async () => {
  const [one, two] = [userToken(), userToken({ sub: "user-2" })];
  const { status, code, seen } = await send(`/x?access_token=${one}`, `${ACCESS}Authorization: Bearer ${two}\r\n`);
  expect([status, code, seen]).toEqual([400, "token_ambiguous", []]);
});
