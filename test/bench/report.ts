import type { Quartiles } from "./quartiles.ts";

/** A bound a figure is held to; `-` = printed for orientation only. */
export type Limit = { readonly at: "most" | "least"; readonly value: number } | "-";

export interface Figure {
  /** `<promise>.<figure>`: `P1.vs_undici`. */
  readonly name: string;
  readonly quartiles: Quartiles;
  /** Without spaces; `x` for ratios. */
  readonly unit: string;
  readonly limit: Limit;
}

const SIGNS = { most: "<=", least: ">=" } as const;

/** SHORT only if the better quartile misses the limit as well: one noisy machine is no finding (promises.md P). */
export function isShort({ limit, quartiles: { q1, median, q3 } }: Figure): boolean {
  if (limit === "-") return false;
  return limit.at === "most" ? Math.min(q1, median) > limit.value : Math.max(q3, median) < limit.value;
}

/** A plain decimal with about four significant digits. */
export function decimal(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError("not a figure");
  const digits = value === 0 ? 0 : Math.max(0, Math.min(6, 3 - Math.floor(Math.log10(Math.abs(value)))));
  return value
    .toFixed(digits)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

/** The line of contract.md 12, and one for people with the quartiles. */
export function linesOf(figure: Figure): string[] {
  const { name, quartiles, unit, limit } = figure;
  const bound = limit === "-" ? "-" : `${SIGNS[limit.at]}${decimal(limit.value)}`;
  const spread = `# ${name} quartiles ${decimal(quartiles.q1)} ${decimal(quartiles.median)} ${decimal(quartiles.q3)} ${unit}`;
  return [spread, `BENCH ${name} ${decimal(quartiles.median)} ${unit} ${bound} ${isShort(figure) ? "SHORT" : "ok"}`];
}

export function summaryOf(figures: readonly Figure[]): string {
  const short = figures.filter(isShort).length;
  return `BENCH summary ${figures.length - short} ok ${short} SHORT`;
}
