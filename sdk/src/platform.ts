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
  /** An unguessable id for one rotation of a refresh token. Default: `crypto.randomUUID()`; without it, from `Math.random`. */
  randomId(): string;
  /**
   * Calls back after `delayMs`, at most 2^31 - 1 (longer delays fire at once in every engine). Answers the function that cancels it.
   * Without `keepAlive` the timer does not keep a process running.
   */
  setTimer(delayMs: number, callback: () => void, keepAlive?: boolean): () => void;
  /** Calls back when the page is shown again or the network returns. Answers the function that stops it. Absent outside documents. */
  onResume?(callback: () => void): () => void;
}

interface Globals {
  readonly crypto?: { readonly randomUUID?: () => string };
  readonly document?: EventTarget & { readonly visibilityState?: string };
  readonly performance?: { now(): number };
  readonly Deno?: { unrefTimer?(timer: unknown): void };
}
const globals = globalThis as Globals;

/** The platform of the runtime this runs on: browsers, React Native, Node, Deno, Bun, edge workers. */
export const defaultPlatform: Platform = {
  fetch: (input, init) => globalThis.fetch(input, init),
  now: () => Date.now(),
  monotonic: () => (globals.performance ? globals.performance.now() : Date.now()),
  random: () => Math.random(),
  randomId: () => globals.crypto?.randomUUID?.() ?? `${Math.random()}${Math.random()}`.replace(/0\./g, ""),
  setTimer(delayMs, callback, keepAlive) {
    const timer = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1));
    if (!keepAlive) unref(timer);
    return () => clearTimeout(timer);
  },
  ...(globals.document && { onResume: onDocumentResume }),
};

function unref(timer: { unref?(): unknown } | number): void {
  if (typeof timer === "object") timer.unref?.();
  else globals.Deno?.unrefTimer?.(timer);
}

function onDocumentResume(callback: () => void): () => void {
  const { document } = globals;
  const whenVisible = () => {
    if (document?.visibilityState !== "hidden") callback();
  };
  document?.addEventListener("visibilitychange", whenVisible);
  globalThis.addEventListener?.("online", callback);
  return () => {
    document?.removeEventListener("visibilitychange", whenVisible);
    globalThis.removeEventListener?.("online", callback);
  };
}
