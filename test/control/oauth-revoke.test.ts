import { Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ControlPlane, makeLink, startControlPlane } from "./control-plane.ts";
import { basic, makeClient, postForm, routesAsFetch, type TestClient } from "./oauth-client.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";
const REVOKE = "/p/demo/oauth/revoke";

let plane: ControlPlane;
let link: string;
let backEnd: TestClient;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  await plane.makeProject("other");
  link = await makeLink(plane, parent, "weather");
  backEnd = await makeClient(plane, parent, "back-end");
});
afterAll(() => plane[Symbol.asyncDispose]());

const mint = async (): Promise<string> => {
  const request = { parent, subject: "user-1", links: [link] };
  return (await plane.client(TokenService, backEnd.secret).mintToken(request)).accessToken;
};
const revoke = (token: string, client = backEnd) => postForm(plane, REVOKE, { token }, basic(client.id, client.secret));
const isActive = async (token: string): Promise<boolean> =>
  (await plane.client(TokenService, backEnd.secret).introspectToken({ parent, token })).active;
const revocations = async () => (await plane.client(RevocationService).listRevocations({ parent })).revocations;

it("withdraws a token; whoever asks afterwards learns that it is not active", async () => {
  const [token, other] = [await mint(), await mint()];
  const before = (await revocations()).length;
  expect(await revoke(token)).toMatchObject({ status: 200, headers: { "cache-control": "no-store" }, body: undefined });
  expect([await isActive(token), await isActive(other)]).toEqual([false, true]);
  expect(await revocations()).toHaveLength(before + 1);
});

it("has nothing to say of a token that is none, or counts no more (RFC 7009 2.2)", async () => {
  const token = await mint();
  await revoke(token);
  const before = (await revocations()).length;
  for (const gone of [token, "x", `${token.slice(0, -6)}AAAAAA`])
    expect(await revoke(gone)).toMatchObject({ status: 200, body: undefined });
  expect(await revocations()).toHaveLength(before);
});

it("takes a token only from its own project's clients, with the role minter", async () => {
  const token = await mint();
  const stranger = await makeClient(plane, "projects/other", "back-end");
  expect(await revoke(token, stranger)).toMatchObject({ status: 401, body: { error: "invalid_client" } });
  const viewer = await makeClient(plane, parent, "viewer", Role.VIEWER);
  expect(await revoke(token, viewer)).toMatchObject({ status: 400, body: { error: "unauthorized_client" } });
  const elsewhere = await postForm(plane, "/p/other/oauth/revoke", { token }, basic(stranger.id, stranger.secret));
  expect(elsewhere.status).toBe(200);
  expect(await isActive(token)).toBe(true);
});

it("needs a token", async () => {
  const answer = await postForm(plane, REVOKE, {}, basic(backEnd.id, backEnd.secret));
  expect(answer).toMatchObject({ status: 400, body: { error: "invalid_request" } });
});

it("is what oauth4webapi calls", async () => {
  const options = { [oauth.customFetch]: routesAsFetch(plane) };
  const issuer = new URL(iss);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
  const as = await oauth.processDiscoveryResponse(issuer, found);
  expect(as.revocation_endpoint).toBe(`${iss}/oauth/revoke`);
  const token = await mint();
  const client: oauth.Client = { client_id: backEnd.id };
  const authentication = oauth.ClientSecretBasic(backEnd.secret);
  const sent = await oauth.revocationRequest(as, client, authentication, token, options);
  expect(await oauth.processRevocationResponse(sent)).toBeUndefined();
  expect(await isActive(token)).toBe(false);
});
