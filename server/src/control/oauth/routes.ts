import type { Transport } from "@connectrpc/connect";
import type { PlainRoute } from "../../model/plain-http.ts";
import type { Authenticator } from "../authenticate.ts";
import type { Deps } from "../deps.ts";
import { createLogoutRoute } from "./backchannel-logout.ts";
import { createClientReader } from "./client.ts";
import { createEndpointRoute, type Endpoint } from "./endpoint.ts";
import { introspectEndpoint } from "./introspect.ts";
import { createMetadataRoute } from "./metadata-route.ts";
import { revokeEndpoint } from "./revoke.ts";
import { GRANT_TYPES, tokenEndpoint } from "./token.ts";

export interface OAuthParts {
  readonly deps: Deps;
  /** Calls the API as whom a call's values name. */
  readonly api: Transport;
  readonly authenticator: Authenticator;
}

/** OAuth for clients that know only the standards: every project is an authorization server under its issuer's URL. */
export function createOAuthRoutes({ deps, api, authenticator }: OAuthParts): PlainRoute[] {
  const { store, log, random } = deps;
  const endpoints = new Map<string, Endpoint>([
    ["token", tokenEndpoint(api, deps)],
    ["revoke", revokeEndpoint(api, store)],
    ["introspect", introspectEndpoint(api)],
  ]);
  const clients = createClientReader(store, authenticator);
  const offer = { endpoints: [...endpoints.keys()], grants: GRANT_TYPES };
  return [
    createMetadataRoute(store, offer),
    createEndpointRoute({ endpoints, clients, store, log, random }),
    createLogoutRoute(deps, api),
  ];
}
