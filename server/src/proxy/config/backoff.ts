import type { Random } from "../../random.ts";

const MIN_MS = 500;
const MAX_MS = 30_000;

/**
 * Pause before reconnecting: anything between 0.5 s and a bound that doubles with each failure up to 30 s ("full jitter"),
 * so that proxies which lost one control plane do not come back in step.
 * @param failures consecutive ones, 1 or more
 */
export function backoffMs(failures: number, random: Random): number {
  const bound = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(failures, 16));
  return MIN_MS + Math.floor(fraction(random) * (bound - MIN_MS));
}

/** A number in [0, 1). */
export function fraction(random: Random): number {
  const [a = 0, b = 0, c = 0] = random.bytes(3);
  return (a * 65_536 + b * 256 + c) / 16_777_216;
}
