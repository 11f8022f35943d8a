/** Every global the core touches. Replace parts of it in tests, or where a runtime lacks one. */
export interface Platform {
  /** Sends a request. Default: the global `fetch`, looked up at each call. */
  fetch(input: string | Request, init: RequestInit): Promise<Response>;
  /** Wall clock in milliseconds since 1970; may jump. Used for display, and to notice sleep. */
  now(): number;
  /** Milliseconds from any origin; never goes back. Decides expiry. Default: `performance.now()`. */
  monotonic(): number;
  /** At least 0, below 1: spreads retries. */
  random(): number;
  /** An unguessable id for one rotation of a refresh token. Default: `crypto.randomUUID()`; without it (React Native, plain http), from `Math.random`. */
  randomId(): string;
  /**
   * Calls back after `delayMs`, at most 2^31 - 1 (longer delays fire at once in every engine). Answers the function that cancels it.
   * Without `keepAlive` the timer does not keep a process running.
   */
  setTimer(delayMs: number, callback: () => void, keepAlive?: boolean): () => void;
  /** Calls back when the page is shown or focused again, or the network returns. Answers the function that stops it. Absent outside documents. */
  onResume?(callback: () => void): () => void;
}

interface Globals {
  readonly crypto?: { readonly randomUUID?: () => string };
  readonly document?: { readonly visibilityState?: string };
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
  readonly performance?: { now(): number };
}
const globals = globalThis as Globals;

/** The platform of the runtime this runs on: browsers, React Native, Node, Deno, Bun, edge workers. */
export const defaultPlatform: Platform = {
  fetch: (input, init) => globalThis.fetch(input, init),
  now: () => Date.now(),
  monotonic: () => (globals.performance ?? Date).now(),
  random: () => Math.random(),
  randomId: () => globals.crypto?.randomUUID?.() ?? `${Math.random()}${Math.random()}`,
  setTimer(delayMs, callback, keepAlive) {
    const timer = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1));
    // A number in browsers, where nothing needs to be let go.
    if (!keepAlive) (timer as { unref?(): unknown }).unref?.();
    return () => clearTimeout(timer);
  },
  ...(globals.document && { onResume: onDocumentResume }),
};

function onDocumentResume(callback: () => void): () => void {
  const whenVisible = () => {
    if (globals.document?.visibilityState !== "hidden") callback();
  };
  // `visibilitychange` bubbles to the window. `pageshow`: back from the back/forward cache. `focus`: a window that was never hidden.
  const types = ["visibilitychange", "pageshow", "focus", "online"];
  for (const type of types) globals.addEventListener?.(type, whenVisible);
  return () => {
    for (const type of types) globals.removeEventListener?.(type, whenVisible);
  };
}
