import type { SigningKeyState } from "../model/signing-key.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Longest life of an access token (contract.md 8). */
const TOKEN_LIFETIME_MAX_MS = DAY_MS;
/** Verifiers' clocks and caches: leeway 60 s, JWKS max-age 300 s. */
const UNPUBLISH_MARGIN_MS = 6 * MINUTE_MS;

/** A key is published so long before it signs: verifiers keep key sets for 10 minutes, their clocks and cooldowns added. */
export const PUBLISH_LEAD_MS = 15 * MINUTE_MS;
/** Keys that rotate by themselves are published a day ahead: some verifiers fetch that seldom. */
export const SCHEDULED_LEAD_MS = DAY_MS;
/** A key signs for so long before it rotates by itself. */
export const ROTATE_AFTER_MS = 90 * DAY_MS;
/** Proxies heard of within it must have the key before it signs. One that is gone for longer fetches it with its next snapshot. */
export const PROXY_HEARD_WITHIN_MS = DAY_MS;

/** When a key that stopped signing then leaves the key set: no token it signed can be accepted anywhere any more. */
export const unpublishTimeMs = (retireTimeMs: number): number =>
  retireTimeMs + TOKEN_LIFETIME_MAX_MS + UNPUBLISH_MARGIN_MS;

/** A key as far as its life is told by the clock. Times are milliseconds since the epoch; null = not yet. */
export interface KeyLife {
  readonly state: SigningKeyState;
  readonly retireTimeMs: number | null;
}

/** Its state now: a retiring key is retired from its moment on, not when a job gets to writing it down. */
export function stateAt({ state, retireTimeMs }: KeyLife, nowMs: number): SigningKeyState {
  const isOver = state === "RETIRING" && retireTimeMs !== null && nowMs >= unpublishTimeMs(retireTimeMs);
  return isOver ? "RETIRED" : state;
}
