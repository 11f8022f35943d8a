import type { Clock } from "../clock.ts";
import { ConduitError } from "../model/errors.ts";
import type { Limit } from "../model/link.ts";
import { isInNetworks, parseNetwork } from "../policy/client-address.ts";
import { type LimitState, reserve } from "../policy/limit.ts";

/** What a key is held to besides its role. */
export interface KeyRestrictions {
  /** Resource name. */
  readonly apiKey: string;
  /** Addresses and networks; empty = from anywhere. */
  readonly allowedAddresses: readonly string[];
  /** Undefined = the default. */
  readonly requestsPerMinute?: number;
}

/** Judges calls that showed a valid key. */
export interface KeyGuard {
  /**
   * @param address of the caller; "" = unknown, which no restriction admits
   * @throws ConduitError `address_denied`, `rate_limited`
   */
  admit(key: KeyRestrictions, address: string): void;
  /** The same for a call that was admitted before and counts already. @throws ConduitError `address_denied` */
  requireAddress(key: KeyRestrictions, address: string): void;
}

/** Far above what a back end needs: it stops a loop that has gone wild, at each replica. */
export const REQUESTS_PER_MINUTE_DEFAULT = 60_000;
const MINUTE_MS = 60_000;
/** Calls at once: ten seconds' worth. */
const BURST_SHARE = 6;
/** Keys whose bucket is kept; beyond it the one unused for longest begins with a full one again. */
const BUCKETS_MAX = 10_000;

export function createKeyGuard(clock: Clock): KeyGuard {
  const buckets = new Map<string, LimitState>();

  function take({ apiKey, requestsPerMinute = REQUESTS_PER_MINUTE_DEFAULT }: KeyRestrictions): void {
    const reservation = reserve(buckets.get(apiKey), limitOf(requestsPerMinute), clock.monotonic());
    // Put last: the first of the map is the one unused for longest.
    buckets.delete(apiKey);
    if (buckets.size >= BUCKETS_MAX) buckets.delete(buckets.keys().next().value ?? "");
    buckets.set(apiKey, reservation.state);
    if (reservation.isAllowed) return;
    const { retryAfterSeconds } = reservation;
    const detail = `The API key has made more than ${requestsPerMinute} calls a minute: try again later`;
    throw new ConduitError("rate_limited", { detail, retryAfterSeconds });
  }

  return {
    admit(key, address) {
      // First: who is somewhere else may not use up the key's calls.
      requireAddress(key, address);
      take(key);
    },
    requireAddress,
  };
}

const limitOf = (requests: number): Limit => ({
  name: "api",
  key: "",
  requests,
  windowMs: MINUTE_MS,
  burst: Math.max(1, Math.floor(requests / BURST_SHARE)),
});

function requireAddress({ allowedAddresses }: KeyRestrictions, address: string): void {
  if (allowedAddresses.length === 0) return;
  // They were checked when they were written.
  const networks = allowedAddresses.map(parseNetwork).flatMap((parsed) => ("value" in parsed ? [parsed.value] : []));
  if (isInNetworks(address, networks)) return;
  throw new ConduitError("address_denied", { detail: "This API key may not be used from this address" });
}
