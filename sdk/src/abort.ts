/** What an aborted call rejects with: the signal's reason, or an `AbortError` where signals have none (React Native). */
export function abortReason(signal: AbortSignal): unknown {
  const reason: unknown = signal.reason;
  return reason ?? Object.assign(new Error("This operation was aborted"), { name: "AbortError" });
}
