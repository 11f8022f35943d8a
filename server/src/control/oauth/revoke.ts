import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { projectName } from "../../model/resource-name.ts";
import type { Store } from "../../store/store.ts";
import { callAs } from "./call-as.ts";
import type { Endpoint, EndpointRequest } from "./endpoint.ts";
import { emptyAnswer, OAuthFault } from "./fault.ts";
import { isOfSession } from "./held-session.ts";
import { principalOfPublic } from "./public-client.ts";
import { clearedCookies, refreshCookies } from "./session-cookies.ts";

const REASON = "revoked at the OAuth endpoint";

/**
 * Token revocation (RFC 7009). A client with an API key may revoke whatever its project has issued; an app without a
 * secret what its own link's users hold. A token that is none, counts no more or is another client's is revoked already
 * (2.2): the answer is the same. With `token_delivery=cookie` it is the app's session in cookies, which are cleared. `token_type_hint` needs no heed: a token's form says what it is.
 * @param api calls the API as whom a call's values name
 */
export function revokeEndpoint(api: Transport, store: Store): Endpoint {
  const tokens: Client<typeof TokenService> = createClient(TokenService, api);
  return async (asked) => {
    const { form, client, project, cookies } = asked;
    const named = form.get("token");
    if (named === undefined && cookies === undefined) return new OAuthFault("invalid_request", "token is missing");
    const kept = cookies === undefined ? [] : refreshCookies(asked.request, cookies);
    const principal = "principal" in client ? client.principal : principalOfPublic(client, project);
    for (const value of named === undefined ? new Set(kept) : [named]) {
      if (!("principal" in client) && !(await isOwn(tokens, store, asked, value))) continue;
      const revocation = { parent: projectName(project), target: { case: "token", value } as const, reason: REASON };
      await tokens.revokeToken(revocation, callAs(principal, asked));
    }
    // A page that signs out has no session afterwards, whatever it had before.
    return { ...emptyAnswer(), ...(cookies && { cookies: clearedCookies(cookies) }) };
  };
}

/** RFC 7009 2.1: whether the token was issued to the app that shows it. */
async function isOwn(
  tokens: Client<typeof TokenService>,
  store: Store,
  asked: EndpointRequest,
  token: string,
): Promise<boolean> {
  const { client, project } = asked;
  if ("principal" in client) return true;
  if (await isOfSession(store, project, token, client)) return true;
  const introspection = { parent: projectName(project), token };
  const { links } = await tokens.introspectToken(introspection, callAs(principalOfPublic(client, project), asked));
  return links.includes(client.link);
}
