import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Client, errors } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConduitError } from "../../server/src/model/errors.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import type { Resolve } from "../../server/src/outbound/resolver.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";

const to =
  (...addresses: readonly string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
const unused: Resolve = async () => {
  throw new Error("must not be asked");
};

let upstream: HttpServer;
beforeAll(async () => {
  upstream = await startHttpServer(() => ({ body: "reached" }));
});
afterAll(() => upstream.close());

async function get(url: string, resolve: Resolve, allowPrivate: boolean, connectTimeoutMs = 2_000): Promise<string> {
  const { origin, pathname } = new URL(url);
  const client = new Client(origin, { connect: createDialer(resolve)({ allowPrivate, connectTimeoutMs }) });
  try {
    return await (await client.request({ method: "GET", path: pathname })).body.text();
  } finally {
    await client.destroy();
  }
}

const REFUSED = expect.objectContaining({ code: "upstream_address_refused" });

describe("createDialer", () => {
  test("reaches a loopback upstream when the operator allows it, under the URL's own Host", async () => {
    const url = `http://upstream.localhost:${upstream.port}/path`;
    expect(await get(url, to("127.0.0.1"), true)).toBe("reached");
    expect(upstream.requests.at(-1)?.header("host")).toEqual([`upstream.localhost:${upstream.port}`]);
  });

  test.each([
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "127.0.0.1.",
  ])("refuses the address %s, however it is spelt, and nothing connects", async (host) => {
    const before = upstream.connections;
    await expect(get(`http://${host}:${upstream.port}/`, unused, false)).rejects.toEqual(REFUSED);
    expect(upstream.connections).toBe(before);
  });

  test.each([
    [["127.0.0.1"]],
    [["8.8.8.8", "127.0.0.1"]],
    [["127.0.0.1", "8.8.8.8"]],
    [["10.1.2.3"]],
    [["169.254.169.254"]],
    [["::ffff:127.0.0.1"]],
    [["64:ff9b::7f00:1"]],
  ])("refuses a name that leads to %j, and nothing connects", async (addresses) => {
    const before = upstream.connections;
    await expect(get(`https://name.example:${upstream.port}/`, to(...addresses), false)).rejects.toEqual(REFUSED);
    expect(upstream.connections).toBe(before);
  });

  test("connects to the address it checked: a name that answers differently the second time gains nothing", async () => {
    let asked = 0;
    const rebinding: Resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? "127.0.0.1" : "192.0.2.1", family: 4 }];
    };
    expect(await get(`http://rebind.localhost:${upstream.port}/`, rebinding, true)).toBe("reached");
    expect(asked).toBe(1);
  });

  test("plain http never leaves the machine, whatever the operator allows", async () => {
    await expect(get("http://name.example/", to("10.1.2.3"), true)).rejects.toEqual(REFUSED);
    await expect(get("http://name.example/", to("8.8.8.8"), true)).rejects.toEqual(REFUSED);
    await expect(get("http://8.8.8.8/", unused, true)).rejects.toEqual(REFUSED);
  });

  test("offers the URL's host name as SNI", async () => {
    const names: string[] = [];
    const server = createTlsServer({
      SNICallback: (name, done) => {
        names.push(name);
        done(new Error("no certificate here"));
      },
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(get(`https://sni.example:${port}/`, to("127.0.0.1"), true)).rejects.toThrow();
    expect(names).toEqual(["sni.example"]);
    server.close();
  });

  test("gives up on a name that does not resolve in time", async () => {
    const never: Resolve = () => new Promise(() => {});
    await expect(get("https://slow.example/", never, false, 100)).rejects.toThrow(errors.ConnectTimeoutError);
  });

  test("a name without addresses is an error, not a connection to somewhere", async () => {
    await expect(get("https://empty.example/", to(), false)).rejects.toThrow("no address");
  });

  test("the refusal's text says what to do and names no address", async () => {
    const error = await get("https://name.example/", to("10.1.2.3"), false).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ConduitError);
    expect((error as ConduitError).detail).toContain("allow_private");
    expect((error as ConduitError).detail).not.toContain("10.1.2.3");
  });
});
