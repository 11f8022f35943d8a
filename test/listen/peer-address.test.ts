import { create } from "@bufbuild/protobuf";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import type { Api } from "../../server/src/listen/api.ts";
import { listenControlHttp } from "../../server/src/listen/control-http.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import type { PlainRoute } from "../../server/src/model/plain-http.ts";
import { canonicalAddress } from "../../server/src/policy/client-address.ts";
import { createClientAddress } from "../../server/src/policy/trusted-proxies.ts";
import { systemRandom } from "../../server/src/random.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { apiFixture, GOOD, silentLog } from "./fixture.ts";

const addressKey = createContextKey("");
const request = create(MintTokenRequestSchema, { subject: "u", parent: "projects/p", links: ["l"] });

/** The fixture's API, and the addresses its gate was told. */
function watchedApi(trusted: readonly string[] = []) {
  const { api, health } = apiFixture();
  const seen: (string | undefined)[] = [];
  const gate = (context: HandlerContext): void => void seen.push(canonicalAddress(context.values.get(addressKey)));
  const clientAddress = trusted.length === 0 ? undefined : createClientAddress(trusted);
  const peerValues: Api["peerValues"] = (address) => createContextValues().set(addressKey, address);
  return { seen, health, api: { ...api, gate, peerValues, ...(clientAddress && { clientAddress }) } };
}

const PEERS = [
  ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
  ["::", "127.0.0.1", "127.0.0.1"],
  ["::", "[::1]", "::1"],
] as const;

test.each(PEERS)("gRPC on %s: the gate is told who connects from %s", async (host, to, address) => {
  const { seen, health, api } = watchedApi();
  const listener = await listenGrpc({ host, port: 0, reflection: false, clock: systemClock, api, health });
  const grpc = rawGrpc(`${to}:${listener.address.port}`);
  onTestFinished(async () => {
    grpc.client.close();
    await listener.drain(0);
  });
  expect(await grpc.call(TokenService.method.mintToken, request, { authorization: GOOD })).toMatchObject({
    status: "OK",
  });
  expect(seen).toEqual([address]);
});

test.each(PEERS)("HTTP on %s: the gate is told who connects from %s", async (host, to, address) => {
  const { seen, health, api } = watchedApi();
  const base = { routes: [], hostNames: [], log: silentLog, random: systemRandom };
  const listener = await listenControlHttp({ ...base, host, port: 0, api, health });
  onTestFinished(() => listener.drain(0));
  const answer = await fetch(`http://${to}:${listener.address.port}/conduit.v1.TokenService/MintToken`, {
    method: "POST",
    // What a client says of itself is not believed.
    headers: { authorization: GOOD, "content-type": "application/json", "x-forwarded-for": "192.0.2.1" },
    body: JSON.stringify({ subject: "u", parent: "projects/p", links: ["l"] }),
  });
  expect(answer.status).toBe(200);
  expect(seen).toEqual([address]);
});

const FORWARDED = "198.51.100.7, 192.0.2.1";

test("gRPC behind a trusted proxy: the gate is told whom it forwards for, and nothing that the client invented", async () => {
  const { seen, health, api } = watchedApi(["127.0.0.1"]);
  const shared = { host: "127.0.0.1", port: 0, reflection: false, clock: systemClock };
  const listener = await listenGrpc({ ...shared, api, health });
  const grpc = rawGrpc(`127.0.0.1:${listener.address.port}`);
  onTestFinished(async () => {
    grpc.client.close();
    await listener.drain(0);
  });
  const headers = { "x-forwarded-for": FORWARDED };
  await grpc.call(TokenService.method.mintToken, request, { authorization: GOOD, headers });
  expect(seen).toEqual(["192.0.2.1"]);
});

test("HTTP behind a trusted proxy: RPCs and plain routes are told whom it forwards for", async () => {
  const { seen, health, api } = watchedApi(["127.0.0.1"]);
  const routes: PlainRoute[] = [async ({ clientAddress: body }) => ({ status: 200, headers: {}, body })];
  const base = { routes, hostNames: [], log: silentLog, random: systemRandom };
  const listener = await listenControlHttp({ ...base, host: "127.0.0.1", port: 0, api, health });
  onTestFinished(() => listener.drain(0));
  const url = `http://127.0.0.1:${listener.address.port}`;
  const headers = { authorization: GOOD, "content-type": "application/json", "x-forwarded-for": FORWARDED };
  const body = JSON.stringify({ subject: "u", parent: "projects/p", links: ["l"] });
  await fetch(`${url}/conduit.v1.TokenService/MintToken`, { method: "POST", headers, body });
  const plain = await fetch(`${url}/oauth`, { headers: { "x-forwarded-for": FORWARDED } });
  expect([seen, await plain.text()]).toEqual([["192.0.2.1"], "192.0.2.1"]);
});
