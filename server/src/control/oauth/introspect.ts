import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type IntrospectTokenResponse, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { projectName } from "../../model/resource-name.ts";
import { callAs } from "./call-as.ts";
import { unknownClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { jsonAnswer, OAuthFault } from "./fault.ts";

/**
 * Token introspection (RFC 7662) for clients with an API key. `token_type_hint` is read and needs no heed: a token's
 * form says what it is.
 * @param api calls the API as whom a call's values name
 */
export function introspectEndpoint(api: Transport): Endpoint {
  const tokens: Client<typeof TokenService> = createClient(TokenService, api);
  return async (asked) => {
    const { form, client, project } = asked;
    // RFC 7662 2.1: else a stolen token could be tried out here.
    if (!("principal" in client)) return unknownClient();
    const token = form.get("token");
    if (token === undefined) return new OAuthFault("invalid_request", "token is missing");
    const introspection = { parent: projectName(project), token };
    return jsonAnswer(200, answerOf(await tokens.introspectToken(introspection, callAs(client.principal, asked))));
  };
}

/** RFC 7662 2.2. Further claims first: none of them can stand for a member that has a meaning of its own. */
function answerOf(token: IntrospectTokenResponse): object {
  if (!token.active) return { active: false };
  const { issueTime, expireTime } = token;
  return {
    ...token.claims,
    active: true,
    token_type: "Bearer",
    iss: token.issuer,
    sub: token.subject,
    aud: token.links,
    client_id: token.clientId,
    jti: token.tokenId,
    sid: token.sessionId || undefined,
    scope: token.scope || undefined,
    roles: token.roles.length > 0 ? token.roles : undefined,
    iat: issueTime && timestampMs(issueTime) / 1000,
    exp: expireTime && timestampMs(expireTime) / 1000,
  };
}
