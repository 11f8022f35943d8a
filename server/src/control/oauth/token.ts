import {
  type ExchangeTokenResponse,
  type MintTokenResponse,
  type RefreshTokenResponse,
  TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { Clock } from "../../clock.ts";
import { ERRORS } from "../../model/errors.ts";
import type { PlainAnswer } from "../../model/plain-http.ts";
import { idOf, projectName, projectOf } from "../../model/resource-name.ts";
import { getSession } from "../../store/sessions.ts";
import type { Store } from "../../store/store.ts";
import { sessionEndMs } from "../session-row.ts";
import { callAs } from "./call-as.ts";
import { unknownClient } from "./client.ts";
import type { CookieSession } from "./cookie-page.ts";
import type { Endpoint, EndpointRequest } from "./endpoint.ts";
import { jsonAnswer, OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";
import { isOfSession } from "./held-session.ts";
import { keptCookies, readRefreshCookie } from "./session-cookies.ts";
import { linksOf } from "./target.ts";

/** What grants are served with. */
interface GrantTools {
  readonly tokens: Client<typeof TokenService>;
  readonly store: Store;
  readonly clock: Clock;
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
export function tokenEndpoint(api: Transport, { store, clock }: Pick<GrantTools, "store" | "clock">): Endpoint {
  const tools = { tokens: createClient(TokenService, api), store, clock };
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
 * get the answer that was lost. `scope` may ask for less than the session has, never for more. With `token_delivery=cookie`
 * the browser keeps the tokens; the app gives a refresh token once, when its session begins.
 */
async function refreshGrant(tools: GrantTools, asked: EndpointRequest): Promise<PlainAnswer | OAuthFault> {
  const { tokens, store } = tools;
  const { form, client, project, cookies } = asked;
  const refreshToken = form.get("refresh_token") ?? (cookies && readRefreshCookie(asked.request, cookies));
  if (refreshToken === undefined && cookies !== undefined)
    return new OAuthFault("invalid_grant", "There is no session cookie");
  if (refreshToken === undefined) return new OAuthFault("invalid_request", "refresh_token is missing");
  const isHeld = await isOfSession(store, project, refreshToken, "link" in client ? client : undefined);
  if (!isHeld) return new OAuthFault("invalid_grant", ERRORS.refresh_token_invalid.detail);
  const wishes = { attemptId: form.get("attempt_id") ?? "", scope: form.get("scope") ?? "" };
  const request = { refreshToken, clientId: client.id, ...wishes };
  const principal = "principal" in client ? client.principal : undefined;
  const refreshed = await tokens.refreshToken(request, callAs(principal, asked));
  if (cookies !== undefined) return keptInCookies(tools, cookies, refreshed);
  const { refreshToken: refresh_token, scope } = refreshed;
  return jsonAnswer(200, { ...tokenBody(refreshed), refresh_token, scope: scope || undefined });
}

/** The answer whose tokens are in cookies: the body has the access token only when the link takes none from cookies. */
async function keptInCookies(
  { store, clock }: GrantTools,
  session: CookieSession,
  refreshed: RefreshTokenResponse,
): Promise<PlainAnswer | OAuthFault> {
  const { project, id } = sessionIdsOf(refreshed.session);
  const row = await store.read((reader) => getSession(reader, project, id));
  const endMs = row === undefined ? clock.now() : sessionEndMs(row);
  const cookies = keptCookies(session, {
    accessToken: refreshed.accessToken,
    accessSeconds: Number(refreshed.expiresIn),
    refreshToken: refreshed.refreshToken,
    refreshSeconds: Math.max(0, Math.floor((endMs - clock.now()) / 1000)),
  });
  if (cookies instanceof OAuthFault) return cookies;
  const { access_token, ...times } = tokenBody(refreshed);
  const body = session.client.accessCookie === undefined ? { access_token, ...times } : times;
  return { ...jsonAnswer(200, { ...body, scope: refreshed.scope || undefined }), cookies };
}

const sessionIdsOf = (name: string) => ({ project: projectOf(name), id: idOf(name) });

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
const tokenBody = ({ accessToken, tokenType, expiresIn }: AnyTokenResponse) => ({
  access_token: accessToken,
  token_type: tokenType,
  expires_in: Number(expiresIn),
});
