// A real OpenID provider (oidc-provider) tells the control plane over HTTP that somebody has signed out.
import { generateKeyPairSync } from "node:crypto";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import Provider from "oidc-provider";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../control/control-plane.ts";
import { sendRaw } from "../control/oauth-client.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";

const parent = "projects/demo";
const issuer = `${parent}/issuers/idp`;
const IDP = "https://idp.example";
const LOGOUT = "/p/demo/issuers/idp/backchannel-logout";

let plane: ControlPlane;
let port: HttpServer;
let provider: Provider;
beforeAll(async () => {
  plane = await startControlPlane();
  plane.clock.advance(Date.now() - plane.clock.now());
  await plane.makeProject("demo");
  // The routes as a listener serves them.
  port = await startHttpServer(async ({ method, target, headers, body }) => {
    const lower = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
    const answer = await sendRaw(plane, target, { method, headers: lower, body: body.toString() });
    return { status: answer?.status ?? 404, body: answer?.body ?? "" };
  });
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const marks = { kid: "k1", use: "sig", alg: "RS256" };
  plane.documents.set(`${IDP}/jwks`, JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), ...marks }] }));
  provider = providerOf({ ...privateKey.export({ format: "jwk" }), ...marks });
  const keys = { case: "jwksUrl", value: `${IDP}/jwks` } as const;
  const wanted = { parent, issuerId: "idp", issuer: { iss: IDP, keys, logoutClientIds: ["our-app"] } };
  await plane.client(IssuerService).createIssuer(wanted);
});
afterAll(async () => {
  await port?.close();
  await plane?.[Symbol.asyncDispose]();
});

const providerOf = (key: object) =>
  new Provider(IDP, {
    jwks: { keys: [key as never] },
    features: { backchannelLogout: { enabled: true } },
    // Its own refuses loopback.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined } as RequestInit),
    clients: [
      {
        ...{ client_id: "our-app", client_secret: "an-app-that-keeps-its-secret-for-itself" },
        ...{ redirect_uris: ["https://app.example/back"], backchannel_logout_uri: `${port.url}${LOGOUT}` },
        backchannel_logout_session_required: true,
      },
    ],
  });

/** As oidc-provider does when somebody signs out there. */
async function signOut(subject: string, sid: string): Promise<void> {
  const client = await provider.Client.find("our-app");
  const sender = client as unknown as { backchannelLogout(subject: string, sid: string): Promise<unknown> };
  await sender.backchannelLogout(subject, sid);
}

test("what oidc-provider sends is a revocation of that session of that issuer", async () => {
  const sessions = ["session-1", "session-2"];
  for (const session of sessions) await signOut("ada", session);
  expect(port.requests.map(({ method, target }) => [method, target])).toEqual([
    ["POST", LOGOUT],
    ["POST", LOGOUT],
  ]);
  const { revocations } = await plane.client(RevocationService).listRevocations({ parent });
  const withdrawn = revocations.map(({ target }) => target.case === "session" && target.value);
  expect(withdrawn).toHaveLength(2);
  for (const sessionId of sessions) expect(withdrawn).toContainEqual(expect.objectContaining({ sessionId, issuer }));
});
