/**
 * How long an answer asks to wait, in ms, by its `Retry-After` (RFC 9110 10.2.3: whole seconds or a date); `NaN` when it does not tell.
 * A browser shows the header of another origin only when that exposes it, as the proxy and the control plane do.
 */
export function retryAfterMs({ headers }: Pick<Response, "headers">, nowMs: number): number {
  const value = headers.get("Retry-After") ?? "";
  return /^\d+$/.test(value) ? Number(value) * 1000 : Math.max(Date.parse(value) - nowMs, 0);
}
