// contract.md 8: who a request comes from, and what link tokens bound to origins and networks make of it.
import { describe, expect, test } from "vitest";
import { createClientAddress } from "../../server/src/policy/trusted-proxies.ts";
import { startHttpServer } from "../support/http-server.ts";
import { credentialLines, LINK_ID, LINK_TOKEN, linkTokenOf, rawExchange, startProxy, statusesOf } from "./harness.ts";

const TRUSTED = ["10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48", "::1"];

/** Peer, `X-Forwarded-For` lines, the client. */
const ROWS: readonly (readonly [peer: string, lines: readonly string[], client: string])[] = [
  // A peer that is not trusted speaks for itself only.
  ["203.0.113.9", [], "203.0.113.9"],
  ["203.0.113.9", ["198.51.100.1"], "203.0.113.9"],
  ["::ffff:203.0.113.9", ["198.51.100.1"], "203.0.113.9"],
  ["2001:db8::1", ["198.51.100.1"], "2001:db8::1"],
  // Behind trusted ones: the rightmost that is not.
  ["10.0.0.1", ["198.51.100.1"], "198.51.100.1"],
  ["::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"],
  ["10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"],
  ["10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"],
  ["10.0.0.1", ["198.51.100.1, 10.9.9.9", "10.0.0.7"], "198.51.100.1"],
  ["10.0.0.1", ["198.51.100.1,10.9.9.9 ,  10.0.0.7"], "198.51.100.1"],
  ["2001:db8:ffff::7", ["198.51.100.1"], "198.51.100.1"],
  ["::1", ["2001:DB8:0:0::1"], "2001:db8::1"],
  // All trusted, nothing there, or nonsense: the last address that is known.
  ["10.0.0.1", [], "10.0.0.1"],
  ["10.0.0.1", [""], "10.0.0.1"],
  ["10.0.0.1", ["10.0.0.2"], "10.0.0.2"],
  ["10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"],
  ["10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, _hidden"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1,"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, 10.0.0.2/32"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, 0x0a000002"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, 010.0.0.2"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, 10.2"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.1, 10.0.0.2, x"], "10.0.0.1"],
  ["10.0.0.1", ["198.51.100.256"], "10.0.0.1"],
  ["10.0.0.1", ["localhost"], "10.0.0.1"],
  // Ports, brackets, mapped addresses: one address has one spelling.
  ["10.0.0.1", ["198.51.100.1:443"], "198.51.100.1"],
  ["10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"],
  ["10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"],
  ["10.0.0.1", ["2001:db8::1"], "2001:db8::1"],
  ["10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"],
  ["10.0.0.1", ["::FFFF:198.51.100.1"], "198.51.100.1"],
  ["10.0.0.1", ["::ffff:c633:6401"], "198.51.100.1"],
  ["10.0.0.1", ["[::ffff:198.51.100.1]:80"], "198.51.100.1"],
  ["10.0.0.1", ["198.51.100.1, ::ffff:10.0.0.5"], "198.51.100.1"],
  ["10.0.0.1", ["[198.51.100.1]"], "198.51.100.1"],
  ["10.0.0.1", ["198.51.100.1:443:1"], "10.0.0.1"],
];

describe("the client's address", () => {
  const clientAddress = createClientAddress(TRUSTED);
  test.each(ROWS)("from %s with %j is %s", (peer, lines, client) => {
    expect(clientAddress(peer, lines)).toBe(client);
  });

  test("without trusted proxies nothing is believed", () => {
    const alone = createClientAddress([]);
    expect(alone("::ffff:10.0.0.1", ["198.51.100.1"])).toBe("10.0.0.1");
  });

  test("a long list costs no more than its length", () => {
    const list = Array(3_000).fill("10.0.0.2").join(", ");
    expect(clientAddress("10.0.0.1", [`198.51.100.1, ${list}`])).toBe("198.51.100.1");
  });

  test.each(["nonsense", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "", "*"])(
    "--trusted-proxies %j is refused",
    (text) => {
      expect(() => createClientAddress([text])).toThrow(/--trusted-proxies/);
    },
  );
});

describe("a link token bound to origins and networks", () => {
  const tokens = [
    linkTokenOf(LINK_TOKEN, {
      allowedOrigins: ["https://app.example"],
      allowedAddresses: ["198.51.100.0/24", "2001:db8:1::/48"],
    }),
  ];

  async function statusesFor(requests: readonly (readonly [origin: string, forwardedFor: string])[]) {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, tokens, trustedProxies: ["127.0.0.1"] });
    const statuses: string[] = [];
    for (const [origin, forwardedFor] of requests) {
      const lines = `${origin}X-Forwarded-For: ${forwardedFor}\r\n${credentialLines()}`;
      const head = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${lines}\r\n`;
      const answer = await rawExchange(proxy.port, head);
      statuses.push(`${statusesOf(answer)[0]} ${/^X-Conduit-Error: (\S+)\r$/m.exec(answer)?.[1] ?? ""}`.trim());
    }
    return { statuses, reached: upstream.requests.length };
  }

  const FROM_APP = "Origin: https://app.example\r\n";

  test("admits the address behind the trusted proxy, in every spelling, and no other", async () => {
    const inside = ["198.51.100.7", "::ffff:198.51.100.7", "198.51.100.7:99", "2001:db8:1::5", "[2001:db8:1:2::5]:1"];
    const outside = ["198.51.101.7", "2001:db8:2::5", "198.51.100.7, 203.0.113.1", "nonsense", ""];
    const { statuses, reached } = await statusesFor([...inside, ...outside].map((it) => [FROM_APP, it] as const));
    expect(statuses).toEqual([...inside.map(() => "200"), ...outside.map(() => "403 address_denied")]);
    expect(reached).toBe(inside.length);
  });

  test("compares origins exactly", async () => {
    const others = [
      ...["https://app.example.evil.example", "https://app.example:443", "http://app.example", "https://APP.example"],
      ...["https://app.example/", "null", "", "https://evil.example"],
    ];
    const lines = ["", ...others.map((origin) => `Origin: ${origin}\r\n`), FROM_APP];
    const { statuses, reached } = await statusesFor(lines.map((line) => [line, "198.51.100.7"] as const));
    expect(statuses).toEqual([...lines.slice(1).map(() => "403 origin_denied"), "200"]);
    expect(reached).toBe(1);
  });
});
