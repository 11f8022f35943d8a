// The token endpoint, by plain requests and by oauth4webapi, a client nobody here wrote.
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { type ControlPlane, makeLink, startControlPlane } from "./control-plane.ts";
import {
  basic,
  makeClient,
  type Parameters,
  postForm,
  routesAsFetch,
  sendRaw,
  type TestClient,
} from "./oauth-client.ts";

const parent = "projects/demo";
const iss = "https://control.example/p/demo";
const TOKEN = "/p/demo/oauth/token";

let plane: ControlPlane;
let link: string;
let machine: TestClient;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.makeProject("demo");
  await plane.makeProject("other");
  link = await makeLink(plane, parent, "weather");
  await makeLink(plane, "projects/other", "foreign");
  machine = await makeClient(plane, parent, "machine");
});
afterAll(() => plane[Symbol.asyncDispose]());

const ask = (parameters: Parameters, client = machine) =>
  postForm(plane, TOKEN, parameters, basic(client.id, client.secret));

const introspected = async (token: unknown) =>
  (await postForm(plane, "/p/demo/oauth/introspect", { token: String(token) }, basic(machine.id, machine.secret))).body;

describe("client_credentials", () => {
  const grant_type = "client_credentials";

  it("gives a machine a token of its own for the links it names", async () => {
    const answer = await ask({ grant_type, resource: [link], scope: "read" });
    expect(answer).toMatchObject({ status: 200, headers: { "cache-control": "no-store", pragma: "no-cache" } });
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(/^eyJ/),
      token_type: "Bearer",
      expires_in: 900,
      scope: "read",
    });
    expect(await introspected(answer.body?.access_token)).toMatchObject({
      ...{ active: true, sub: "machine", client_id: "machine", aud: [link], scope: "read" },
    });
  });

  it("leaves an audit record of the key that asked, from where, joined to the answer", async () => {
    const { headers } = await ask({ grant_type, resource: link });
    const records = await plane.store.read((reader) => reader.select().from(auditRecords));
    expect(records.filter(({ requestId }) => requestId === headers["x-request-id"])).toMatchObject([
      {
        ...{ project: "demo", actor: `${parent}/apiKeys/machine`, action: "TokenService.MintToken" },
        ...{ clientAddress: "203.0.113.7", details: { subject: "machine", links: link } },
      },
    ]);
  });

  it("takes a link by its id, by audience too, and each once", async () => {
    const second = await makeLink(plane, parent, "tides");
    const { body } = await ask({ grant_type, resource: ["weather", link], audience: ["tides", "weather"] });
    expect(await introspected(body?.access_token)).toMatchObject({ aud: [link, second] });
    expect(body).not.toHaveProperty("scope");
  });

  it.each<[string, Parameters, number, string]>([
    ["without a link", {}, 400, "invalid_target"],
    ["for a link that is not there", { resource: "nothing" }, 400, "invalid_target"],
    ["for another project's link", { resource: "projects/other/links/foreign" }, 400, "invalid_target"],
    ["for what is no link", { resource: "https://api.example/" }, 400, "invalid_target"],
    ["with a scope that is none", { resource: "weather", scope: 'a"b' }, 400, "invalid_scope"],
    ["with a scope twice", { resource: "weather", scope: ["a", "b"] }, 400, "invalid_request"],
  ])("%s is refused", async (_what, parameters, status, error) => {
    expect(await ask({ grant_type, ...parameters })).toMatchObject({ status, body: { error } });
  });

  it("is for clients with the role minter", async () => {
    const viewer = await makeClient(plane, parent, "viewer", Role.VIEWER);
    const refused = { status: 400, body: { error: "unauthorized_client" } };
    expect(await ask({ grant_type, resource: "weather" }, viewer)).toMatchObject(refused);
    const unknown = { id: "machine", secret: "cl_key_wrong" };
    expect(await ask({ grant_type, resource: "weather" }, unknown)).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
  });

  it("is over with the key", async () => {
    const gone = await makeClient(plane, parent, "gone");
    expect((await ask({ grant_type, resource: "weather" }, gone)).status).toBe(200);
    await plane.client(ApiKeyService).deleteApiKey({ name: `${parent}/apiKeys/gone` });
    expect((await ask({ grant_type, resource: "weather" }, gone)).status).toBe(401);
  });
});

describe("grant_type", () => {
  it.each<[string, Parameters, string]>([
    ["absent", {}, "invalid_request"],
    ["empty", { grant_type: "" }, "invalid_request"],
    ["password", { grant_type: "password" }, "unsupported_grant_type"],
    ["a name of every object", { grant_type: "constructor" }, "unsupported_grant_type"],
  ])("%s is refused", async (_what, parameters, error) => {
    expect(await ask(parameters)).toMatchObject({ status: 400, body: { error } });
  });

  it("is in the metadata when it is served", async () => {
    const metadata = await sendRaw(plane, "/p/demo/.well-known/openid-configuration", {});
    expect(metadata?.body).toMatchObject({
      token_endpoint: `${iss}/oauth/token`,
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
      grant_types_supported: expect.arrayContaining(["refresh_token", "client_credentials"]),
    });
  });
});

describe("oauth4webapi", () => {
  const options = () => ({ [oauth.customFetch]: routesAsFetch(plane) });
  const discover = async (algorithm: "oauth2" | "oidc") => {
    const issuer = new URL(iss);
    return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...options() }));
  };
  const client: oauth.Client = { client_id: "machine" };

  it.each(["oauth2", "oidc"] as const)("finds the endpoints by %s discovery", async (algorithm) => {
    expect((await discover(algorithm)).token_endpoint).toBe(`${iss}/oauth/token`);
  });

  it.each([
    ["basic", oauth.ClientSecretBasic],
    ["post", oauth.ClientSecretPost],
  ])("gets a machine's token by client_secret_%s and introspects it", async (_name, authentication) => {
    const as = await discover("oauth2");
    const secret = authentication(machine.secret);
    const parameters = new URLSearchParams({ resource: link, scope: "read" });
    const response = await oauth.clientCredentialsGrantRequest(as, client, secret, parameters, options());
    const token = await oauth.processClientCredentialsResponse(as, client, response);
    expect(token).toMatchObject({ token_type: "bearer", expires_in: 900, scope: "read" });
    const asked = await oauth.introspectionRequest(as, client, secret, token.access_token, options());
    const told = await oauth.processIntrospectionResponse(as, client, asked);
    expect(told).toMatchObject({ active: true, sub: "machine", iss, client_id: "machine", token_type: "Bearer" });
  });

  it("understands the refusals", async () => {
    const as = await discover("oauth2");
    const refusal = async (secret: string, parameters: Record<string, string>) => {
      const authentication = oauth.ClientSecretBasic(secret);
      const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, options());
      return oauth.processClientCredentialsResponse(as, client, response).catch((error: unknown) => error);
    };
    expect(await refusal(machine.secret, {})).toMatchObject({ error: "invalid_target", status: 400 });
    // A 401 with a challenge is one of its own kind to it.
    expect(await refusal("cl_key_wrong", { resource: link })).toBeInstanceOf(oauth.WWWAuthenticateChallengeError);
  });
});
