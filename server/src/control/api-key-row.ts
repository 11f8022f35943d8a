import type { Role } from "../model/api-key.ts";
import { hashToken } from "../model/token-string.ts";
import type { ApiKeyRow } from "../store/api-keys.ts";

/** As much of a key as lists show: the prefix and 4 of its 22 random characters. */
const HINT_LENGTH = "cl_key_".length + 4;

export const hintOf = (text: string): string => text.slice(0, HINT_LENGTH);

/** What a new key is to be. */
export interface NewApiKey {
  /** Null = the installation's. */
  readonly project: string | null;
  readonly id: string;
  readonly role: Role;
  readonly displayName: string;
  readonly expireTimeMs?: number | undefined;
  /** Of the access tokens it mints. */
  readonly tokenLifetimeMaxMs?: number | undefined;
  readonly allowedAddresses?: readonly string[];
  readonly requestsPerMinute?: number | undefined;
}

/** The row of a new key, which keeps the hash of its text. */
export function newApiKeyRow(text: string, key: NewApiKey, nowMs: number): Omit<ApiKeyRow, "version"> {
  const { project, id, role, displayName, expireTimeMs, tokenLifetimeMaxMs = null, requestsPerMinute = null } = key;
  const now = new Date(nowMs);
  return {
    keyHash: hashToken(text),
    project,
    id,
    role,
    displayName,
    hint: hintOf(text),
    expireTime: expireTimeMs === undefined ? null : new Date(expireTimeMs),
    tokenLifetimeMaxMs,
    allowedAddresses: key.allowedAddresses ?? [],
    requestsPerMinute,
    previousKeyHash: null,
    previousExpireTime: null,
    lastUseTime: null,
    createTime: now,
    updateTime: now,
  };
}
