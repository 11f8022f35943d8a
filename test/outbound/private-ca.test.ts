// S18: a private certificate authority is trusted where it is named, and nowhere else.
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createFetchJson } from "../../server/src/outbound/capped-fetch.ts";
import { createDialer } from "../../server/src/outbound/dialer.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";

const server = createServer({ cert: TLS_PAIR.cert, key: TLS_PAIR.key }, (_request, response) => response.end("{}"));
const fetchJson = createFetchJson(createDialer(async () => [{ address: "127.0.0.1", family: 4 }]));
const OPTIONS = { timeoutMs: 2_000, maxBytes: 1_000, allowPrivate: true };

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => server.close());

const fetchFrom = (host: string, caCertificates?: string) =>
  fetchJson(`https://${host}:${(server.address() as AddressInfo).port}/`, {
    ...OPTIONS,
    ...(caCertificates !== undefined && { caCertificates }),
  });

test("S18: with its authority the host is believed, without it is not", async () => {
  expect(await fetchFrom("localhost", TLS_PAIR.cert)).toMatchObject({ status: 200, body: "{}" });
  await expect(fetchFrom("localhost")).rejects.toMatchObject({ code: "upstream_unreachable" });
});

test("S18: the certificate must still be the host's own, and the address an allowed one", async () => {
  await expect(fetchFrom("other.example", TLS_PAIR.cert)).rejects.toMatchObject({ code: "upstream_unreachable" });
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
  const refused = fetchJson(url, { ...OPTIONS, allowPrivate: false, caCertificates: TLS_PAIR.cert });
  await expect(refused).rejects.toMatchObject({ code: "upstream_address_refused" });
});
