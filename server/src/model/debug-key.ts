/** A key that shows its holder why a link refuses tokens, for a while; only its hash is kept. */
export interface DebugKey {
  /** SHA-256 of the text, lower case hex. */
  readonly keyHash: string;
  /** Milliseconds since the epoch; from then on it counts no more. */
  readonly expireTimeMs: number;
}

/** How long a debug key counts when its maker does not say; contract.md 7 has keys that expire. */
export const DEBUG_KEY_LIFETIME_DEFAULT_MS = 3_600_000;

/** Live keys of one link. Beyond, each would have to be compared with what any client sends. */
export const DEBUG_KEYS_MAX = 20;
