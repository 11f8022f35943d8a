import { abortReason } from "../abort.ts";
import type { Platform } from "../platform.ts";

interface Globals {
  readonly document?: unknown;
  readonly navigator?: { readonly locks?: Locks };
}

/** Lets one holder of a name at a time run `work`, in all tabs of an origin: of `LockManager`, which the types of Node do not know, what is used. */
export interface Locks {
  request<T>(name: string, options: { readonly signal: AbortSignal }, work: () => Promise<T>): Promise<T>;
}

/** The locks of documents. Elsewhere they do not exist, or hold in one process only (Node), where they would promise too much. */
export function documentLocks(): Locks | undefined {
  const { document, navigator } = globalThis as Globals;
  return document ? navigator?.locks : undefined;
}

/**
 * Runs `work` alone among the tabs that ask for the same lock. Waits at most `timeoutMs`: a holder that was frozen in the middle must not
 * stop every other tab. Then, as where there are no locks, `work` runs all the same. It must be safe without: the lock spares requests, the
 * store's compare-and-swap and the server's repeated answer to one `attemptId` keep the rotation one. What remains without the lock: a
 * duplicate request that the network holds back until the next rotation is done, too, looks like theft to the server.
 */
export async function exclusively<T>(
  { locks, platform, name, timeoutMs }: LockOptions,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw abortReason(signal);
  if (!locks) return work();
  let isHeld = false;
  const controller = new AbortController();
  const giveUp = () => controller.abort();
  const cancelTimer = platform.setTimer(timeoutMs, giveUp);
  signal.addEventListener("abort", giveUp);
  try {
    return await locks.request(name, { signal: controller.signal }, () => {
      isHeld = true;
      return work();
    });
  } catch (error) {
    // Also refused at once where a document may not lock (sandboxed frames).
    if (isHeld || signal.aborted) throw error;
    return await work();
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", giveUp);
  }
}

/** What {@link exclusively} works with. */
export interface LockOptions {
  readonly locks: Locks | undefined;
  readonly platform: Pick<Platform, "setTimer">;
  readonly name: string;
  readonly timeoutMs: number;
}
