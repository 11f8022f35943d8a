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

/** Keys kept; beyond it the oldest is read again when needed. */
const KNOWN_MAX = 1_000;

/** Authenticates by the database, at each call: a deleted key is refused from the next call on, at every replica. */
export function storedCredentials(
  store: Store,
  clock: Clock,
  { watch, proxyCredentialMaxAgeMs }: StoredOptions,
): Authenticator {
  /** By the hash of their text. */
  const known = new Map<string, ApiKeyRow>();
  const findKeys = groupCalls((hashes: readonly string[]) =>
    store.read((reader) => findApiKeys(reader, [...new Set(hashes)])),
  );
  return createAuthenticator(
    {
      async findApiKey(hash) {
        const row = (await findKeys(hash)).find((one) => one.keyHash === hash || one.previousKeyHash === hash);
        remember(known, hash, row);
        return row && foundKeyOf(row, hash);
      },
      recallApiKey(hash) {
        const row = known.get(hash);
        if (row === undefined) return undefined;
        return { key: foundKeyOf(row, hash), row: { table: "api_keys", id: row.keyHash, version: row.version } };
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

function remember(known: Map<string, ApiKeyRow>, hash: string, row: ApiKeyRow | undefined): void {
  if (row === undefined) known.delete(hash);
  else known.set(hash, row);
  if (known.size > KNOWN_MAX) known.delete(known.keys().next().value ?? "");
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
