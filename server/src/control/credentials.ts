import type { Clock } from "../clock.ts";
import { apiKeyName, proxyName } from "../model/resource-name.ts";
import { findApiKey } from "../store/api-keys.ts";
import { findProxyByCredential } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";
import { type Authenticator, createAuthenticator } from "./authenticate.ts";

/** Authenticates by the database, at each call: a deleted key is refused from the next call on, at every replica. */
export const storedCredentials = (store: Store, clock: Clock): Authenticator =>
  createAuthenticator(
    {
      async findApiKey(hash) {
        const row = await store.read((reader) => findApiKey(reader, hash));
        if (row === undefined) return undefined;
        const { project, id, role, expireTime, tokenLifetimeMaxMs } = row;
        return {
          apiKey: apiKeyName(project ?? undefined, id),
          role,
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
  );
