import type { Principal } from "../../model/api-key.ts";
import { ConduitError } from "../../model/errors.ts";
import type { PlainRequest } from "../../model/plain-http.ts";
import { idOf } from "../../model/resource-name.ts";
import type { Store } from "../../store/store.ts";
import type { Authenticator } from "../authenticate.ts";
import { OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";
import { type PublicClient, readPublicClient } from "./public-client.ts";

/** A client that has authenticated: an API key, whose id is the `client_id` (contract.md 9). */
export interface ConfidentialClient {
  readonly id: string;
  readonly principal: Principal;
}

interface Credentials {
  readonly id: string;
  readonly secret: string;
}

/**
 * Authenticates a client (RFC 6749 2.3.1): by `client_secret_basic` or `client_secret_post`, never both. The secret is the
 * API key itself; it must belong to the project, or to the installation.
 */
async function authenticateClient(
  request: PlainRequest,
  form: Form,
  project: string,
  authenticator: Authenticator,
): Promise<ConfidentialClient | OAuthFault> {
  const sent = readCredentials(request.header("authorization"), form);
  if (sent instanceof OAuthFault) return sent;
  try {
    const principal = await authenticator.apiKey(`Bearer ${sent.secret}`, request.clientAddress);
    const isOfProject = principal.project === undefined || principal.project === project;
    // The id too, though the secret alone says who it is: a client must not pass for another in its own logs.
    if (isOfProject && idOf(principal.apiKey) === sent.id) return { id: sent.id, principal };
  } catch (error) {
    const isRefused = error instanceof ConduitError && ["credential_invalid", "address_denied"].includes(error.code);
    if (!isRefused) throw error;
  }
  return unknownClient();
}

/** Either kind of client. */
export type OAuthClient = ConfidentialClient | PublicClient;

/** Finds out which client sends a request. */
export type ClientReader = (request: PlainRequest, form: Form, project: string) => Promise<OAuthClient | OAuthFault>;

/** Whether a request comes with a secret, right or wrong: then it is judged by that. */
export const hasCredential = ({ header }: PlainRequest, form: Form): boolean =>
  header("authorization") !== undefined || form.get("client_secret") !== undefined;

/** Clients by their API key; those without any secret by the link they name. */
export const createClientReader =
  (store: Store, authenticator: Authenticator): ClientReader =>
  async (request, form, project) => {
    if (hasCredential(request, form)) return authenticateClient(request, form, project, authenticator);
    return (await store.read((reader) => readPublicClient(reader, project, form))) ?? unknownClient();
  };

/** One answer for every way to fail: it does not say which ids there are. */
export const unknownClient = (): OAuthFault =>
  new OAuthFault("invalid_client", "Authenticate with the id of an API key as client_id and the key as client_secret", {
    headers: { "WWW-Authenticate": 'Basic realm="conduit", charset="UTF-8"' },
  });

function readCredentials(authorization: string | undefined, form: Form): Credentials | OAuthFault {
  const [id, secret] = [form.get("client_id"), form.get("client_secret")];
  if (authorization === undefined) return id === undefined || secret === undefined ? unknownClient() : { id, secret };
  if (secret !== undefined)
    return new OAuthFault("invalid_request", "Authenticate in the Authorization header or in the body, not in both");
  const basic = readBasic(authorization);
  if (basic === undefined) return unknownClient();
  // RFC 6749 3.2.1: who names itself twice must be one.
  return id === undefined || id === basic.id ? basic : unknownClient();
}

/** RFC 7617 2, with id and secret form-encoded before (RFC 6749 2.3.1). */
function readBasic(authorization: string): Credentials | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const text = Buffer.from(encoded ?? "", "base64").toString("utf8");
  // RFC 7617 2: the first colon ends the id; further ones are the secret's.
  const at = text.indexOf(":");
  const [id, secret] = at < 0 ? [] : [text.slice(0, at), text.slice(at + 1)].map(formDecoded);
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
