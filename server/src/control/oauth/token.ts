import {
  type ExchangeTokenResponse,
  type MintTokenResponse,
  TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { PlainAnswer } from "../../model/plain-http.ts";
import { projectName } from "../../model/resource-name.ts";
import type { Authenticator } from "../authenticate.ts";
import { callAs } from "./call-as.ts";
import { authenticateClient, type ConfidentialClient } from "./client.ts";
import type { Endpoint, EndpointRequest } from "./endpoint.ts";
import { jsonAnswer, OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";
import { linksOf } from "./target.ts";

/** A client that wants tokens of a project (id). */
interface GrantRequest extends EndpointRequest {
  readonly client: ConfidentialClient;
}

type Grant = (tokens: Client<typeof TokenService>, request: GrantRequest) => Promise<PlainAnswer | OAuthFault>;

/** `grant_type` → what it does. */
const GRANTS: Readonly<Record<string, Grant>> = {
  client_credentials: clientCredentials,
  "urn:ietf:params:oauth:grant-type:token-exchange": tokenExchange,
};

/** Values of `grant_type` that are served. */
export const GRANT_TYPES: readonly string[] = Object.keys(GRANTS);

/** The token endpoint (RFC 6749 3.2). @param api calls the API as whom a call's values name */
export function tokenEndpoint(api: Transport, authenticator: Authenticator): Endpoint {
  const tokens = createClient(TokenService, api);
  return async (asked) => {
    const { request, form, project } = asked;
    const type = form.get("grant_type");
    if (type === undefined) return new OAuthFault("invalid_request", "grant_type is missing");
    const grant = Object.hasOwn(GRANTS, type) ? GRANTS[type] : undefined;
    if (grant === undefined)
      return new OAuthFault("unsupported_grant_type", `grant_type must be one of ${GRANT_TYPES.join(", ")}`);
    const client = await authenticateClient(request, form, project, authenticator);
    return client instanceof OAuthFault ? client : grant(tokens, { ...asked, client });
  };
}

/** RFC 6749 4.4: a machine's own token. Its subject is the client, as RFC 9068 2.2 has it. */
async function clientCredentials(
  tokens: Client<typeof TokenService>,
  asked: GrantRequest,
): Promise<PlainAnswer | OAuthFault> {
  const { form, project, client } = asked;
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
async function tokenExchange(
  tokens: Client<typeof TokenService>,
  asked: GrantRequest,
): Promise<PlainAnswer | OAuthFault> {
  const { form, project, client } = asked;
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

/** RFC 6749 5.1. */
const tokenBody = ({ accessToken, tokenType, expiresIn }: MintTokenResponse | ExchangeTokenResponse): object => ({
  access_token: accessToken,
  token_type: tokenType,
  expires_in: Number(expiresIn),
});
