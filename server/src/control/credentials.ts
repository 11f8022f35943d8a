import type { Clock } from "../clock.ts";
import { apiKeyName, proxyName } from "../model/resource-name.ts";
import { type ApiKeyRow, findApiKey } from "../store/api-keys.ts";
import { findProxyByCredential } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";
import { type Authenticator, createAuthenticator, type KeyWatch } from "./authenticate.ts";

/** Authenticates by the database, at each call: a deleted key is refused from the next call on, at every replica. */
export const storedCredentials = (store: Store, clock: Clock, watch?: KeyWatch): Authenticator =>
  createAuthenticator(
    {
      async findApiKey(hash) {
        const row = await store.read((reader) => findApiKey(reader, hash));
        if (row === undefined) return undefined;
        const { project, id, role, tokenLifetimeMaxMs, allowedAddresses, requestsPerMinute } = row;
        const expireTime = expiryOf(row, hash);
        return {
          apiKey: apiKeyName(project ?? undefined, id),
          role,
          allowedAddresses,
          ...(requestsPerMinute !== null && { requestsPerMinute }),
          ...(project !== null && { project }),
          ...(tokenLifetimeMaxMs !== null && { tokenLifetimeMaxMs }),
          ...(expireTime !== null && { expireTimeMs: expireTime.getTime() }),
        };
      },
      async findProxy(hash) {
        const row = await store.read((reader) => findProxyByCredential(reader, hash));
        return row === undefined ? undefined : proxyName(row.id);
      },
    },
    clock,
    watch,
  );

/** The text before a rotation ends with its overlap, and never after the key. */
function expiryOf({ keyHash, expireTime, previousExpireTime }: ApiKeyRow, hash: string): Date | null {
  if (hash === keyHash || previousExpireTime === null) return expireTime;
  return expireTime !== null && expireTime < previousExpireTime ? expireTime : previousExpireTime;
}
