import type { Clock } from "../clock.ts";
import type { Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";
import { hashToken, isTokenOf, type TokenKind } from "../model/token-string.ts";
import type { StandingRow } from "../store/standing-rows.ts";
import type { ProxyPrincipal } from "./call.ts";
import type { KeyGuard, KeyRestrictions } from "./key-guard.ts";
import type { KeyUse } from "./key-use.ts";
import type { RecalledCaller } from "./recalled-caller.ts";

/** Turns an `authorization` header into who calls. Every way to fail is `credential_invalid`: none says which. */
export interface Authenticator {
  /**
   * @param authorization the header's value; null = not sent
   * @param address of the caller; "" = unknown
   * @throws ConduitError also `address_denied` and `rate_limited`, once the key is known to be valid
   */
  apiKey(authorization: string | null, address: string): Promise<Principal>;
  /** The same from memory, for calls that confirm it; undefined = `apiKey` is to judge. Absent = it never knows. */
  recall?(authorization: string | null, address: string): RecalledCaller | undefined;
  /** @throws ConduitError also `proxy_revoked` */
  proxy(authorization: string | null): Promise<ProxyPrincipal>;
}

/** A key that a text was looked up for. */
export interface FoundKey extends Principal, KeyRestrictions {
  /** Of the text that was shown. */
  readonly expireTimeMs?: number;
}

/** A proxy whose credential this is. */
export interface FoundProxy extends ProxyPrincipal {
  readonly isRevoked: boolean;
}

/** What happens to calls whose key is valid. */
export interface KeyWatch {
  readonly guard: KeyGuard;
  readonly use: KeyUse;
}

/** Look-ups by the SHA-256 of a token's text; undefined = unknown. */
export interface Credentials {
  findApiKey(hash: string): Promise<FoundKey | undefined>;
  /** As `findApiKey` found it last, and the row it was. */
  recallApiKey(hash: string): { readonly key: FoundKey; readonly row: StandingRow } | undefined;
  findProxy(hash: string): Promise<FoundProxy | undefined>;
}

const PROXY_DETAIL = "Send the proxy's own credential as authorization: Bearer cl_prx_…";

/**
 * Form and checksum first, so that garbage never reaches the database.
 * @param watch undefined for calls that the process makes for a caller it has let in before
 */
export function createAuthenticator(credentials: Credentials, clock: Clock, watch?: KeyWatch): Authenticator {
  const isValid = ({ expireTimeMs }: FoundKey): boolean => expireTimeMs === undefined || clock.now() < expireTimeMs;
  async function findValid(hash: string | undefined): Promise<FoundKey> {
    const found = hash === undefined ? undefined : await credentials.findApiKey(hash);
    if (found === undefined || !isValid(found)) throw new ConduitError("credential_invalid");
    return found;
  }
  return {
    async apiKey(authorization, address) {
      const hash = keyHashOf(authorization);
      const found = await findValid(hash);
      watch?.guard.admit(found, address);
      watch?.use.used(hash ?? "");
      return principalOfKey(found);
    },
    recall(authorization, address) {
      const hash = keyHashOf(authorization);
      const recalled = hash === undefined ? undefined : credentials.recallApiKey(hash);
      if (hash === undefined || recalled === undefined || !isValid(recalled.key)) return undefined;
      try {
        watch?.guard.admit(recalled.key, address);
      } catch {
        // What is refused must be refused by what is true now.
        return undefined;
      }
      watch?.use.used(hash);
      const identifyAnew = async (): Promise<Principal> => {
        const found = await findValid(hash);
        watch?.guard.requireAddress(found, address);
        return principalOfKey(found);
      };
      return { principal: principalOfKey(recalled.key), row: recalled.row, identifyAnew };
    },
    async proxy(authorization) {
      const token = bearerOf(authorization, "proxyCredential");
      const found = token === undefined ? undefined : await credentials.findProxy(hashToken(token));
      if (found === undefined) throw new ConduitError("credential_invalid", { detail: PROXY_DETAIL });
      const { isRevoked, ...principal } = found;
      // Told only to who has the credential: the proxy must know that it is no longer wanted.
      if (isRevoked) throw new ConduitError("proxy_revoked");
      return principal;
    },
  };
}

function principalOfKey({ expireTimeMs: _expireTimeMs, ...principal }: FoundKey): Principal {
  return principal;
}

/** SHA-256 of the API key in the header; undefined = there is none. */
function keyHashOf(authorization: string | null): string | undefined {
  const token = bearerOf(authorization, "apiKey");
  return token === undefined ? undefined : hashToken(token);
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
