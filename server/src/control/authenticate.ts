import type { Clock } from "../clock.ts";
import type { Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";
import { hashToken, isTokenOf, type TokenKind } from "../model/token-string.ts";
import type { ProxyPrincipal } from "./call.ts";

/** Turns an `authorization` header into who calls. Every way to fail is `credential_invalid`: none says which. */
export interface Authenticator {
  /** @param authorization the header's value; null = not sent */
  apiKey(authorization: string | null): Promise<Principal>;
  proxy(authorization: string | null): Promise<ProxyPrincipal>;
}

/** Look-ups by the SHA-256 of a token's text; undefined = unknown. */
export interface Credentials {
  findApiKey(hash: string): Promise<(Principal & { readonly expireTimeMs?: number }) | undefined>;
  /** Resource name of the proxy. */
  findProxy(hash: string): Promise<string | undefined>;
}

const PROXY_DETAIL = "Send the proxy's own credential as authorization: Bearer cl_prx_…";

/** Form and checksum first, so that garbage never reaches the database. */
export function createAuthenticator(credentials: Credentials, clock: Clock): Authenticator {
  return {
    async apiKey(authorization) {
      const token = bearerOf(authorization, "apiKey");
      const found = token === undefined ? undefined : await credentials.findApiKey(hashToken(token));
      if (found === undefined || (found.expireTimeMs !== undefined && found.expireTimeMs <= clock.now()))
        throw new ConduitError("credential_invalid");
      const { expireTimeMs: _expireTimeMs, ...principal } = found;
      return principal;
    },
    async proxy(authorization) {
      const token = bearerOf(authorization, "proxyCredential");
      const proxy = token === undefined ? undefined : await credentials.findProxy(hashToken(token));
      if (proxy === undefined) throw new ConduitError("credential_invalid", { detail: PROXY_DETAIL });
      return { proxy };
    },
  };
}

/** For calls that the process makes to itself: the caller is known beforehand. Never mount it on a listener. */
export function trustedAuthenticator(principal: Principal): Authenticator {
  return {
    apiKey: async () => principal,
    async proxy() {
      throw new ConduitError("credential_invalid", { detail: PROXY_DETAIL });
    },
  };
}

/** The token of `Bearer <token>` (RFC 6750 2.1) if it is one of this kind: a link token is no API key. */
function bearerOf(authorization: string | null, kind: TokenKind): string | undefined {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  return token !== undefined && isTokenOf(kind, token) ? token : undefined;
}
