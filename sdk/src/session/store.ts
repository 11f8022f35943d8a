/**
 * One place that keeps one session's text, shared by everything that reads it: tabs, an app and its widget, two processes.
 * Whoever writes one (Expo's SecureStore, a file, a cookie jar) needs nothing else of this package.
 */
export interface TokenStore {
  /** What is kept; `null` = nothing. Reject when it cannot be read now: that means unknown, never signed out. */
  read(): string | null | Promise<string | null>;
  /**
   * Puts `next` (`null` = removes) in the place of `expected`, if that is still what is kept, and says whether it did. The nearer to one
   * step the medium can make it, the rarer two tabs ask for the same rotation; the rotation itself stays one in any case.
   */
  swap(expected: string | null, next: string | null): boolean | Promise<boolean>;
  /** Calls back after somebody else has written. Answers the function that ends it. Optional: documents are told by a channel too. */
  subscribe?(callback: () => void): () => void;
}

/** Keeps the text in this process, for as long as it runs: tests, servers, and apps that want nothing on a disk. */
export function memoryStore(): TokenStore {
  let kept: string | null = null;
  return {
    read: () => kept,
    swap(expected, next) {
      if (kept !== expected) return false;
      kept = next;
      return true;
    },
  };
}

/** What `localStorage`, `sessionStorage` and React Native's AsyncStorage have in common. */
export interface KeyValueStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

/**
 * Keeps the text under `key` of a storage given by name. Page scripts can read web storage, and so can whoever gets one of theirs to run
 * (cross-site scripting): prefer the cookie mode of `fromControlPlane`, which leaves no refresh token there.
 */
export function storageStore(storage: KeyValueStorage, key = "conduit.session"): TokenStore {
  // Without an `await` where the storage has none: compared and written in one turn, no other code of the page comes between.
  const then = <T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>) =>
    value instanceof Promise ? value.then(next) : next(value);
  return {
    read: () => storage.getItem(key),
    swap: (expected, next) =>
      then(storage.getItem(key), (kept) => {
        if (kept !== expected) return false;
        return then(next === null ? storage.removeItem(key) : storage.setItem(key, next), () => true);
      }),
  };
}
