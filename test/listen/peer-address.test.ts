import { create } from "@bufbuild/protobuf";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import type { Api } from "../../server/src/listen/api.ts";
import { listenControlHttp } from "../../server/src/listen/control-http.ts";
import { listenGrpc } from "../../server/src/listen/grpc.ts";
import { canonicalAddress } from "../../server/src/policy/client-address.ts";
import { systemRandom } from "../../server/src/random.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { apiFixture, GOOD, silentLog } from "./fixture.ts";

const addressKey = createContextKey("");
const request = create(MintTokenRequestSchema, { subject: "u", parent: "projects/p", links: ["l"] });

/** The fixture's API, and the addresses its gate was told. */
function watchedApi() {
  const { api, health } = apiFixture();
  const seen: (string | undefined)[] = [];
  const gate = (context: HandlerContext): void => void seen.push(canonicalAddress(context.values.get(addressKey)));
  const peerValues: Api["peerValues"] = (address) => createContextValues().set(addressKey, address);
  return { seen, health, api: { ...api, gate, peerValues } };
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
