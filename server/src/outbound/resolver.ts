import { lookup as systemLookup } from "node:dns/promises";
import type { Clock } from "../clock.ts";

/** One address of a name, as the operating system gives it. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves a host name to all its addresses, in order of preference; rejects when there is none. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export interface ResolverOptions {
  readonly clock: Clock;
  /** Default: the operating system's resolver, `/etc/hosts` included. */
  readonly lookup?: Resolve;
  /** How long an answer is used. Default and upper bound of contract.md 8: 60 s. */
  readonly ttlMs?: number;
  /** Names kept; the oldest answer goes first. Default 10,000. */
  readonly maxNames?: number;
}

interface Answer {
  readonly addresses: Promise<readonly ResolvedAddress[]>;
  readonly untilMs: number;
}

/**
 * A resolver that asks once a minute per name and once for simultaneous callers. Failures are not kept. It judges
 * nothing: the dialer checks the addresses on every connection, cached or not.
 */
export function createResolver(options: ResolverOptions): Resolve {
  const { clock, lookup = (hostname) => systemLookup(hostname, { all: true }) } = options;
  const { ttlMs = 60_000, maxNames = 10_000 } = options;
  const answers = new Map<string, Answer>();
  return (hostname) => {
    const known = answers.get(hostname);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.addresses;
    const answer: Answer = { addresses: lookup(hostname), untilMs: clock.monotonic() + ttlMs };
    answers.delete(hostname);
    answers.set(hostname, answer);
    for (const oldest of answers.keys()) {
      if (answers.size <= maxNames) break;
      answers.delete(oldest);
    }
    answer.addresses.catch(() => {
      if (answers.get(hostname) === answer) answers.delete(hostname);
    });
    return answer.addresses;
  };
}
