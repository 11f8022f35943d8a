const DAY_MS = 24 * 3_600_000;

/** A proxy replaces its credential at this age, unless the operator sets another. */
export const PROXY_CREDENTIAL_MAX_AGE_MS = 30 * DAY_MS;
/** So long the credential before counts beside the next one, while that has not been used yet. */
export const CREDENTIAL_OVERLAP_MS = 10 * 60_000;

/** A proxy's credentials as they are stored. Hashes are SHA-256 in hex, times milliseconds since the epoch. */
export interface ProxyCredentials {
  readonly credentialHash: string;
  readonly createTimeMs: number;
  /** What was before the last rotation; null = it counts no more. */
  readonly previousHash: string | null;
  readonly previousExpireTimeMs: number | null;
}

/** Which of the two a hash is; undefined = neither, or it has lapsed. */
export function credentialOf(held: ProxyCredentials, hash: string, nowMs: number): "current" | "previous" | undefined {
  if (hash === held.credentialHash) return "current";
  const isLeft = held.previousExpireTimeMs !== null && nowMs < held.previousExpireTimeMs;
  return hash === held.previousHash && isLeft ? "previous" : undefined;
}

/**
 * The credentials after a proxy that showed `shownHash` has registered `nextHash`. Undefined: as they are, since it has been
 * registered before. Who still shows the previous one may replace the next: it was never used, and its answer may be lost;
 * the overlap does not begin anew, or an old credential could be kept alive for ever.
 */
export function rotated(
  held: ProxyCredentials,
  { shownHash, nextHash }: { readonly shownHash: string; readonly nextHash: string },
  nowMs: number,
): ProxyCredentials | undefined {
  if (nextHash === held.credentialHash) return undefined;
  const next = { credentialHash: nextHash, createTimeMs: nowMs };
  if (shownHash === held.previousHash)
    return { ...next, previousHash: held.previousHash, previousExpireTimeMs: held.previousExpireTimeMs };
  return { ...next, previousHash: held.credentialHash, previousExpireTimeMs: nowMs + CREDENTIAL_OVERLAP_MS };
}
