import {
  type ExchangeTokenResponse,
  type MintTokenResponse,
  type RefreshTokenResponse,
  TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ERRORS } from "../../model/errors.ts";
import type { PlainAnswer } from "../../model/plain-http.ts";
import { projectName } from "../../model/resource-name.ts";
import type { Store } from "../../store/store.ts";
import { callAs } from "./call-as.ts";
import { unknownClient } from "./client.ts";
import type { Endpoint, EndpointRequest } from "./endpoint.ts";
import { jsonAnswer, OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";
import { isOfSession } from "./held-session.ts";
import { linksOf } from "./target.ts";

/** What grants are served with. */
interface GrantTools {
  readonly tokens: Client<typeof TokenService>;
  readonly store: Store;
}

type Grant = (tools: GrantTools, asked: EndpointRequest) => Promise<PlainAnswer | OAuthFault>;

/** `grant_type` → what it does. */
const GRANTS: Readonly<Record<string, Grant>> = {
  refresh_token: refreshGrant,
  client_credentials: clientCredentials,
  "urn:ietf:params:oauth:grant-type:token-exchange": tokenExchange,
};

/** Values of `grant_type` that are served. */
export const GRANT_TYPES: readonly string[] = Object.keys(GRANTS);

/** The token endpoint (RFC 6749 3.2). @param api calls the API as whom a call's values name */
export function tokenEndpoint(api: Transport, store: Store): Endpoint {
  const tools = { tokens: createClient(TokenService, api), store };
  return async (asked) => {
    const type = asked.form.get("grant_type");
    if (type === undefined) return new OAuthFault("invalid_request", "grant_type is missing");
    const grant = Object.hasOwn(GRANTS, type) ? GRANTS[type] : undefined;
    if (grant !== undefined) return grant(tools, asked);
    return new OAuthFault("unsupported_grant_type", `grant_type must be one of ${GRANT_TYPES.join(", ")}`);
  };
}

/**
 * RFC 6749 6: the next tokens of a session, for the app or the back end that the session is of. `attempt_id` makes a retry
 * get the answer that was lost. `scope` may ask for less than the session has, never for more.
 */
async function refreshGrant({ tokens, store }: GrantTools, asked: EndpointRequest): Promise<PlainAnswer | OAuthFault> {
  const { form, client, project } = asked;
  const refreshToken = form.get("refresh_token");
  if (refreshToken === undefined) return new OAuthFault("invalid_request", "refresh_token is missing");
  const isHeld = await isOfSession(store, project, refreshToken, "link" in client ? client : undefined);
  if (!isHeld) return new OAuthFault("invalid_grant", ERRORS.refresh_token_invalid.detail);
  const request = {
    refreshToken,
    clientId: client.id,
    attemptId: form.get("attempt_id") ?? "",
    scope: form.get("scope") ?? "",
  };
  const principal = "principal" in client ? client.principal : undefined;
  const refreshed = await tokens.refreshToken(request, callAs(principal, asked));
  const { refreshToken: refresh_token, scope } = refreshed;
  return jsonAnswer(200, { ...tokenBody(refreshed), refresh_token, scope: scope || undefined });
}

/** RFC 6749 4.4: a machine's own token. Its subject is the client, as RFC 9068 2.2 has it. */
async function clientCredentials({ tokens }: GrantTools, asked: EndpointRequest): Promise<PlainAnswer | OAuthFault> {
  const { form, project, client } = asked;
  if (!("principal" in client)) return unknownClient();
  const links = linksOf(form, project);
  if (links instanceof OAuthFault) return links;
  const scope = form.get("scope") ?? "";
  const request = { parent: projectName(project), subject: client.id, links: [...links], scope };
  const minted = await tokens.mintToken(request, callAs(client.principal, asked));
  return jsonAnswer(200, { ...tokenBody(minted), scope: scope || undefined });
}

const TYPES = "urn:ietf:params:oauth:token-type:";
/** RFC 8693 3: what a subject token may be said to be. What it is, its form and its issuer say. */
const SUBJECT_TYPES = [`${TYPES}access_token`, `${TYPES}jwt`, `${TYPES}id_token`] as const;
/** What may be asked for: our access tokens are JWTs. */
const ISSUED_TYPES = [`${TYPES}access_token`, `${TYPES}jwt`] as const;

/** RFC 8693 2: a token of an issuer that the links trust becomes one of the project. */
async function tokenExchange({ tokens }: GrantTools, asked: EndpointRequest): Promise<PlainAnswer | OAuthFault> {
  const { form, project, client } = asked;
  if (!("principal" in client)) return unknownClient();
  const subjectToken = form.get("subject_token");
  const wrong = exchangeProblem(form);
  if (subjectToken === undefined || wrong !== undefined)
    return new OAuthFault("invalid_request", wrong ?? "subject_token is missing");
  const links = linksOf(form, project);
  if (links instanceof OAuthFault) return links;
  const scope = form.get("scope") ?? "";
  const request = { parent: projectName(project), subjectToken, links: [...links], scope };
  const exchanged = await tokens.exchangeToken(request, callAs(client.principal, asked));
  const issued_token_type = form.get("requested_token_type") ?? ISSUED_TYPES[0];
  return jsonAnswer(200, { ...tokenBody(exchanged), issued_token_type, scope: exchanged.scope || undefined });
}

/** What is wrong with an exchange as far as its parameters show. */
function exchangeProblem(form: Form): string | undefined {
  const isOneOf = (types: readonly string[], type: string | undefined) => type !== undefined && types.includes(type);
  if (!isOneOf(SUBJECT_TYPES, form.get("subject_token_type")))
    return `subject_token_type must be one of ${SUBJECT_TYPES.join(", ")}`;
  if (!isOneOf(ISSUED_TYPES, form.get("requested_token_type") ?? ISSUED_TYPES[0]))
    return `requested_token_type must be one of ${ISSUED_TYPES.join(", ")}`;
  const hasActor = form.get("actor_token") !== undefined || form.get("actor_token_type") !== undefined;
  return hasActor ? "actor_token is not supported: the client itself is the actor" : undefined;
}

type AnyTokenResponse = MintTokenResponse | ExchangeTokenResponse | RefreshTokenResponse;

/** RFC 6749 5.1. */
const tokenBody = ({ accessToken, tokenType, expiresIn }: AnyTokenResponse): object => ({
  access_token: accessToken,
  token_type: tokenType,
  expires_in: Number(expiresIn),
});
