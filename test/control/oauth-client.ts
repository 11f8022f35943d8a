// Requests to the OAuth endpoints of a control plane without sockets.
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import type * as oauth from "oauth4webapi";
import type { ControlPlane } from "./control-plane.ts";

/** What came back. */
export interface OAuthAnswer {
  readonly status: number;
  /** Lower case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined when there is none. */
  readonly body: Record<string, unknown> | undefined;
  /** `Set-Cookie` lines. */
  readonly cookies: readonly string[];
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends a request to a path; undefined = no route takes it. */
export async function sendRaw(plane: ControlPlane, path: string, raw: RawRequest): Promise<OAuthAnswer | undefined> {
  const { method = "GET", headers = {}, body = "" } = raw;
  for (const route of plane.control.oauthRoutes) {
    const answer = await route({
      method,
      path,
      clientAddress: "203.0.113.7",
      header: (name) => headers[name],
      body: async () => body,
    });
    if (answer === undefined) continue;
    const lower = Object.entries(answer.headers).map(([name, value]) => [name.toLowerCase(), value]);
    const text = String(answer.body);
    const { status, cookies = [] } = answer;
    return { status, headers: Object.fromEntries(lower), body: text ? JSON.parse(text) : undefined, cookies };
  }
  return undefined;
}

/** Parameters by name; a list = one that is repeated. */
export type Parameters = Readonly<Record<string, string | readonly string[]>>;

const FORM = "application/x-www-form-urlencoded";

/** Posts a form. */
export async function postForm(
  plane: ControlPlane,
  path: string,
  parameters: Parameters,
  headers: Readonly<Record<string, string>> = {},
): Promise<OAuthAnswer> {
  const form = new URLSearchParams();
  for (const [name, values] of Object.entries(parameters))
    for (const value of [values].flat()) form.append(name, value);
  const raw = { method: "POST", headers: { "content-type": FORM, ...headers }, body: form.toString() };
  const answer = await sendRaw(plane, path, raw);
  if (answer === undefined) throw new Error(`nobody serves ${path}`);
  return answer;
}

/** The header of `client_secret_basic`. */
export const basic = (id: string, secret: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`,
});

/** A client of a project: an API key with an id of its own. */
export interface TestClient {
  readonly id: string;
  readonly secret: string;
}

/** Makes an API key. @param parent "" = the installation's */
export async function makeClient(
  plane: ControlPlane,
  parent: string,
  id: string,
  role: Role = Role.MINTER,
): Promise<TestClient> {
  const { apiKey } = await plane.client(ApiKeyService).createApiKey({ parent, apiKeyId: id, apiKey: { role } });
  return { id, secret: apiKey?.key ?? "" };
}

/** For oauth4webapi: its requests end at the routes instead of at a socket. */
export const routesAsFetch =
  (plane: ControlPlane) =>
  async (url: string, init: oauth.CustomFetchOptions<string, unknown>): Promise<Response> => {
    const { method, headers, body } = init;
    const answer = await sendRaw(plane, new URL(url).pathname, { method, headers, body: String(body ?? "") });
    const { status = 404, headers: sent = {} } = answer ?? {};
    return new Response(answer?.body === undefined ? null : JSON.stringify(answer.body), { status, headers: sent });
  };
