import type { Transport } from "@connectrpc/connect";
import type { Log } from "../../log.ts";
import type { PlainRoute } from "../../model/plain-http.ts";
import type { Random } from "../../random.ts";
import type { Store } from "../../store/store.ts";
import type { Authenticator } from "../authenticate.ts";
import { createClientReader } from "./client.ts";
import { createEndpointRoute, type Endpoint } from "./endpoint.ts";
import { introspectEndpoint } from "./introspect.ts";
import { createMetadataRoute } from "./metadata-route.ts";
import { revokeEndpoint } from "./revoke.ts";
import { GRANT_TYPES, tokenEndpoint } from "./token.ts";

export interface OAuthParts {
  readonly store: Store;
  /** Calls the API as whom a call's values name. */
  readonly api: Transport;
  readonly authenticator: Authenticator;
  readonly log: Log;
  readonly random: Random;
}

/** OAuth for clients that know only the standards: every project is an authorization server under its issuer's URL. */
export function createOAuthRoutes({ store, api, authenticator, log, random }: OAuthParts): PlainRoute[] {
  const endpoints = new Map<string, Endpoint>([
    ["token", tokenEndpoint(api, store)],
    ["revoke", revokeEndpoint(api, store)],
    ["introspect", introspectEndpoint(api)],
  ]);
  const clients = createClientReader(store, authenticator);
  const offer = { endpoints: [...endpoints.keys()], grants: GRANT_TYPES };
  return [createMetadataRoute(store, offer), createEndpointRoute({ endpoints, clients, log, random })];
}
