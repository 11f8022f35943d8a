import type { Platform } from "./platform.ts";

/** What an aborted call rejects with: the signal's reason, or an `AbortError` where signals have none (React Native). */
export function abortReason(signal: AbortSignal): unknown {
  const reason: unknown = signal.reason;
  return reason ?? Object.assign(new Error("Aborted"), { name: "AbortError" });
}

/**
 * What `promise` settles to, or `undefined` after `timeoutMs`; rejects with the signal's reason. Neither ends what is waited for.
 * Its timer keeps a process alive, for someone waits; listener and timer are gone when it settles.
 */
export function within<T>(
  platform: Pick<Platform, "setTimer">,
  promise: Promise<T>,
  timeoutMs: number,
  signal?: AbortSignal | null,
): Promise<T | undefined> {
  let leave: (() => void) | undefined;
  return new Promise<T | undefined>((resolve, reject) => {
    // First of all, or nobody would hear of its failure.
    promise.then(resolve, reject);
    const onAbort = () => reject(signal && abortReason(signal));
    if (signal?.aborted) return onAbort();
    const cancelTimer = platform.setTimer(Math.max(timeoutMs, 0), () => resolve(undefined), true);
    signal?.addEventListener("abort", onAbort);
    leave = () => {
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
    };
  }).finally(() => leave?.());
}
