import type { Clock } from "../clock.ts";
import { apiKeyName } from "../model/resource-name.ts";
import { type ApiKeyRow, findApiKeys } from "../store/api-keys.ts";
import { dropPreviousCredential, findProxyByCredential } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";
import { type Authenticator, createAuthenticator, type FoundKey, type KeyWatch } from "./authenticate.ts";
import { groupCalls } from "./group-calls.ts";
import { foundProxyOf } from "./proxy-credential.ts";

export interface StoredOptions {
  /** Undefined for calls that the process makes for a caller it has let in before. */
  readonly watch?: KeyWatch;
  /** Age at which a proxy is told to replace its credential. */
  readonly proxyCredentialMaxAgeMs: number;
}

/** Authenticates by the database, at each call: a deleted key is refused from the next call on, at every replica. */
export function storedCredentials(
  store: Store,
  clock: Clock,
  { watch, proxyCredentialMaxAgeMs }: StoredOptions,
): Authenticator {
  const findKeys = groupCalls((hashes: readonly string[]) =>
    store.read((reader) => findApiKeys(reader, [...new Set(hashes)])),
  );
  return createAuthenticator(
    {
      async findApiKey(hash) {
        const row = (await findKeys(hash)).find((one) => one.keyHash === hash || one.previousKeyHash === hash);
        return row && foundKeyOf(row, hash);
      },
      async findProxy(hash) {
        const row = await store.read((reader) => findProxyByCredential(reader, hash));
        if (row === undefined) return undefined;
        const isFirstUse = hash === row.credentialHash && row.previousCredentialHash !== null;
        if (isFirstUse) await store.statement((tx) => dropPreviousCredential(tx, hash));
        return foundProxyOf(row, hash, clock.now(), proxyCredentialMaxAgeMs);
      },
    },
    clock,
    watch,
  );
}

function foundKeyOf(row: ApiKeyRow, hash: string): FoundKey {
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
}

/** The text before a rotation ends with its overlap, and never after the key. */
function expiryOf({ keyHash, expireTime, previousExpireTime }: ApiKeyRow, hash: string): Date | null {
  if (hash === keyHash || previousExpireTime === null) return expireTime;
  return expireTime !== null && expireTime < previousExpireTime ? expireTime : previousExpireTime;
}
