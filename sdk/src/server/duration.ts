const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * Whole seconds of a lifetime: a number of seconds, or digits with `s`, `m`, `h` or `d` (`15m`, `900s`, `7d`).
 * Throws `TypeError` for anything else, also for zero, fractions, and more than 2^31 seconds.
 */
export function durationSeconds(value: number | string, name: string): number {
  const match = typeof value === "string" ? /^(\d{1,10})([smhd])$/.exec(value) : null;
  const seconds = match ? Number(match[1]) * (secondsOf[match[2] ?? ""] ?? Number.NaN) : value;
  if (typeof seconds === "number" && Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= 2 ** 31)
    return seconds;
  throw new TypeError(`${name} must be whole seconds of at least 1, or like '15m', '900s', '24h', '7d'`);
}
