import type { PlainRoute } from "../../model/plain-http.ts";
import { getProject } from "../../store/projects.ts";
import type { Store } from "../../store/store.ts";

/** Where the document is (RFC 8414 3, and the place where OpenID Connect clients look), whatever comes before `/p/`. */
const PATHS = [
  /^\/\.well-known\/oauth-authorization-server(?:\/[^?]*)?\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])$/,
  /^\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])\/\.well-known\/openid-configuration$/,
];

/** As for the key sets: a change of endpoints may take five minutes. */
const HEADERS = { "Content-Type": "application/json", "Cache-Control": "public, max-age=300" } as const;

/** Which endpoints and grants there are. */
export interface Offer {
  /** Names of endpoints under `<issuer>/oauth/`. */
  readonly endpoints: readonly string[];
  readonly grants: readonly string[];
}

/** Serves the metadata of every project's authorization server (RFC 8414). Public, needs no credential. */
export function createMetadataRoute(store: Store, offer: Offer): PlainRoute {
  return async ({ method, path }) => {
    const id = PATHS.map((pattern) => pattern.exec(path)?.[1]).find((found) => found !== undefined);
    if (id === undefined || method !== "GET") return undefined;
    const project = await store.read((reader) => getProject(reader, id));
    if (project === undefined) return undefined;
    return { status: 200, headers: HEADERS, body: JSON.stringify(metadataOf(project.issuer, offer)) };
  };
}

const CONFIDENTIAL = ["client_secret_basic", "client_secret_post"] as const;

/** There is no authorization endpoint, so no response type: people log in elsewhere. */
function metadataOf(issuer: string, { endpoints, grants }: Offer): object {
  const url = (name: string): string | undefined => (endpoints.includes(name) ? `${issuer}/oauth/${name}` : undefined);
  return {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: [],
    grant_types_supported: grants,
    token_endpoint: url("token"),
    token_endpoint_auth_methods_supported: url("token") && [...CONFIDENTIAL, "none"],
    revocation_endpoint: url("revoke"),
    revocation_endpoint_auth_methods_supported: url("revoke") && [...CONFIDENTIAL, "none"],
    introspection_endpoint: url("introspect"),
    introspection_endpoint_auth_methods_supported: url("introspect") && CONFIDENTIAL,
  };
}
