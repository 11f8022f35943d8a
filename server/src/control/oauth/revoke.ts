import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { projectName } from "../../model/resource-name.ts";
import type { Authenticator } from "../authenticate.ts";
import { callAs } from "./call-as.ts";
import { authenticateClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { emptyAnswer, OAuthFault } from "./fault.ts";

const REASON = "revoked at the OAuth endpoint";

/**
 * Token revocation (RFC 7009) for clients with an API key: any of a project may revoke what the project has issued. A
 * token that is none, or counts no more, is revoked already (2.2); `token_type_hint` needs no heed.
 * @param api calls the API as whom a call's values name
 */
export function revokeEndpoint(api: Transport, authenticator: Authenticator): Endpoint {
  const tokens: Client<typeof TokenService> = createClient(TokenService, api);
  return async (asked) => {
    const { request, form, project } = asked;
    const client = await authenticateClient(request, form, project, authenticator);
    if (client instanceof OAuthFault) return client;
    const token = form.get("token");
    if (token === undefined) return new OAuthFault("invalid_request", "token is missing");
    const target = { case: "token", value: token } as const;
    const revocation = { parent: projectName(project), target, reason: REASON };
    await tokens.revokeToken(revocation, callAs(client.principal, asked));
    return emptyAnswer();
  };
}
