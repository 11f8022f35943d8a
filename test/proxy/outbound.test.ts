// promises.md S18 through the proxy: where a link's requests may go, and over what.
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";
import { until } from "../support/until.ts";
import { fakeClock, HIDDEN_KEY, LINK_ID, type LinkChanges, startProxy } from "./harness.ts";

const codeOf = async (answer: Promise<Response>) => {
  const { status, headers } = await answer;
  return `${status} ${headers.get("x-conduit-error") ?? ""}`.trim();
};
const toAddresses = (...addresses: string[]) =>
  addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
const REFUSED = "502 upstream_address_refused";

/** One address in every way that URL parsers, inet_aton or resolvers read it. */
const SPELLINGS = [
  // 127.0.0.1
  ...[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
  ],
  ...["0x7f.0x0.0x0.0x1", "0177.0x0.0.1", "127.000.000.001", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"],
  ...[
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[::ffff:0:7f00:1]",
  ],
  ...["[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "localhost", "LOCALHOST", "%6cocalhost", "①27.0.0.1"],
  // this network, private, shared, link-local, benchmarking, documentation, multicast, reserved
  ...["0.0.0.0", "0", "[::]", "10.0.0.1", "0xa000001", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.0.1"],
  ...["198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
  ...["[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[3fff::1]"],
  // metadata services
  ...[
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
  ],
  ...["[64:ff9b::a9fe:a9fe]", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
];

describe("S18: without the operator's word nothing private is reached", () => {
  test(`${SPELLINGS.length} spellings of special addresses`, async () => {
    await using upstream = await startHttpServer();
    const outcomes: [string, string][] = [];
    for (const host of SPELLINGS) {
      const link: LinkChanges = { upstream: { allowPrivate: false } };
      const proxy = await startProxy({ baseUrl: `https://${host}:${upstream.port}`, link }).catch(
        (cause: Error) => cause,
      );
      outcomes.push([host, proxy instanceof Error ? "refused on write" : await codeOf(proxy.call("/x"))]);
    }
    expect(outcomes.filter(([, outcome]) => outcome !== REFUSED && outcome !== "refused on write")).toEqual([]);
    expect(upstream.connections).toBe(0);
  });

  test.each([
    [["127.0.0.1"]],
    [["8.8.8.8", "127.0.0.1"]],
    [["10.0.0.1", "8.8.8.8"]],
    [["169.254.169.254"]],
    [["fd00:ec2::254"]],
    [["::ffff:10.0.0.1"]],
    [["64:ff9b::a00:1"]],
    [["2002:a00:1::"]],
    [["2001:0:4136:e378:8000:63bf:3fff:fdd2"]],
  ])("a name that leads to %j", async (addresses) => {
    const link: LinkChanges = { upstream: { allowPrivate: false } };
    const lookup = async () => toAddresses(...addresses);
    const proxy = await startProxy({ baseUrl: "https://rebind.example", link, lookup });
    expect(await codeOf(proxy.call("/x"))).toBe(REFUSED);
  });

  test("a name whose answer changes is judged by each answer", async () => {
    const clock = fakeClock(Date.now());
    const answers = [["10.0.0.1"], ["169.254.169.254"], ["127.0.0.1"]];
    let asked = 0;
    const lookup = async () => toAddresses(...(answers[asked++] ?? ["::1"]));
    const proxy = await startProxy({
      baseUrl: "https://rebind.example",
      link: { upstream: { allowPrivate: false } },
      lookup,
      clock,
    });
    for (let turn = 0; turn < 4; turn += 1) {
      expect(await codeOf(proxy.call("/x"))).toBe(REFUSED);
      clock.advance(61_000);
    }
    expect(asked).toBe(4);
  });

  test("with allow_private a link's connections are its own: a stricter link to the same host does not ride on them", async () => {
    await using upstream = await startHttpServer();
    const open = await startProxy({ baseUrl: upstream.url });
    expect(await codeOf(open.call("/x"))).toBe("200");
    const known = open.links.link(LINK_ID)?.judged.link;
    if (known === undefined) throw new Error("no link");
    open.put({
      kind: "link",
      name: known.name,
      link: { ...known, upstream: { ...known.upstream, allowPrivate: false } },
    });
    expect(await codeOf(open.call("/x"))).toBe(REFUSED);
    expect(upstream.requests).toHaveLength(1);
  });

  test.each([
    ["http to another machine", "http://192.0.2.1/"],
    ["a user name", "https://user@good.example/"],
    ["a password", "https://a:b@good.example/"],
    ["a query", "https://good.example/?a=b"],
    ["a fragment", "https://good.example/#a"],
    ["another scheme", "ftp://good.example/"],
    ["no host", "https:///x"],
  ])("%s is no base URL", async (_what, baseUrl) => {
    await expect(startProxy({ baseUrl })).rejects.toThrow(/base_url/);
  });

  test("redirects are never followed", async () => {
    await using other = await startHttpServer();
    await using upstream = await startHttpServer(() => ({ status: 302, headers: { location: `${other.url}/stolen` } }));
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await codeOf(proxy.call("/x"))).toBe("502 upstream_redirect_refused");
    expect([upstream.requests.length, other.connections]).toEqual([1, 0]);
  });
});

/** An https upstream that remembers names and headers. */
async function startTlsUpstream() {
  const names: (string | false | undefined)[] = [];
  const hosts: (string | undefined)[] = [];
  const keys: unknown[] = [];
  const server = createServer({ ...TLS_PAIR }, (request, response) => {
    hosts.push(request.headers.host);
    keys.push(request.headers["x-api-key"]);
    response.end("over TLS");
  });
  server.on("secureConnection", (socket) => names.push((socket as { servername?: string | false }).servername));
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { port, names, hosts, keys, server, connectionsSoFar: () => connections };
}

describe("S18: https upstreams", () => {
  const lookup = async () => toAddresses("127.0.0.1");
  const link: LinkChanges = { upstream: { caCertificates: TLS_PAIR.cert } };

  test("with the link's own authority: SNI and Host are the URL's, whatever the client sends", async () => {
    const upstream = await startTlsUpstream();
    const proxy = await startProxy({ baseUrl: `https://localhost:${upstream.port}`, link, lookup });
    const answer = await proxy.call("/x", { headers: { "x-forwarded-host": "evil.example" } });
    expect([answer.status, await answer.text()]).toEqual([200, "over TLS"]);
    expect(upstream.names).toEqual(["localhost"]);
    expect(upstream.hosts).toEqual([`localhost:${upstream.port}`]);
    expect(upstream.keys).toEqual([HIDDEN_KEY]);
  });

  test.each([
    ["an authority nobody knows", "localhost", {}],
    ["another name", "other.example", link],
  ])("%s: 502, and the credential does not leave", async (_what, host, changes) => {
    const upstream = await startTlsUpstream();
    const proxy = await startProxy({ baseUrl: `https://${host}:${upstream.port}`, link: changes, lookup });
    expect(await codeOf(proxy.call("/x"))).toBe("502 upstream_unreachable");
    await until("it was tried", () => upstream.connectionsSoFar() > 0 || undefined);
    expect(upstream.hosts).toEqual([]);
  });

  test("a plain upstream behind an https URL: 502, and nothing readable was sent", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: `https://localhost:${upstream.port}`, link, lookup });
    expect(await codeOf(proxy.call("/x"))).toBe("502 upstream_unreachable");
    expect(upstream.requests).toEqual([]);
  });

  test("a link without the authority does not ride on the connection of one that has it", async () => {
    const upstream = await startTlsUpstream();
    const proxy = await startProxy({ baseUrl: `https://localhost:${upstream.port}`, link, lookup });
    expect(await codeOf(proxy.call("/x"))).toBe("200");
    const known = proxy.links.link(LINK_ID)?.judged.link;
    if (known === undefined) throw new Error("no link");
    const { caCertificates: _gone, ...rest } = known.upstream;
    proxy.put({ kind: "link", name: known.name, link: { ...known, upstream: rest } });
    expect(await codeOf(proxy.call("/x"))).toBe("502 upstream_unreachable");
    expect(upstream.hosts).toHaveLength(1);
  });
});
