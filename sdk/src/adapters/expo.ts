import * as SecureStore from "expo-secure-store";
import { AppState } from "react-native";
import type { Platform } from "../platform.ts";
import type { TokenStore } from "../session/store.ts";

/** Options of {@link secureStore}. */
export interface SecureTokenStoreOptions {
  /** Name of the entry; letters, digits, `.`, `-`, `_`. Default `jwt_token`: an app that kept a bare JWT there goes on with it. */
  readonly key?: string;
  /**
   * When iOS gives the entry out, a constant of expo-secure-store. Default `AFTER_FIRST_UNLOCK`: with expo's own default a refresh behind a
   * locked screen fails with "User interaction is not allowed".
   */
  readonly keychainAccessible?: number;
  /** iOS keychain service and access group, to share the entry with a widget or an extension. */
  readonly keychainService?: string;
  readonly accessGroup?: string;
}

/** One entry holds about 2 kB on some systems; in characters, of ASCII and of anything else (at most 4 bytes each). */
const asciiPiece = /[\s\S]{1,1800}/g;
const anyPiece = /[\s\S]{1,450}/gu;
/** `@conduit:<slot>:<pieces>` in the place of a value too long for one entry; its pieces are under `<key>.<slot>.<index>`. */
const pointer = /^@conduit:([01]):(\d+)$/;

/**
 * Keeps a session in the keychain (iOS) or the keystore (Android) by `expo-secure-store`. Values too long for one entry are cut in pieces; the
 * entry under `key` changes last, so a crash leaves the old value or the new one. After the app comes back to the front it is read again,
 * for a widget or an extension may have written. A read that fails rejects: that means unknown, not signed out.
 */
export function secureStore(options: SecureTokenStoreOptions = {}): TokenStore {
  const { key = "jwt_token", ...rest } = options;
  if (!/^[\w.-]+$/.test(key)) throw new TypeError("key must consist of letters, digits, '.', '-' and '_'");
  const entries = entriesOf({ keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK, ...rest });
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: async () => (await readWhole(entries, key)).value,
    swap(expected, next) {
      // One after the other: no other swap of this process comes between comparing and writing.
      const swapped = last.then(() => swap(entries, key, expected, next));
      last = swapped.catch(() => {});
      return swapped;
    },
    subscribe: onAppActive,
  };
}

/** What an Expo app's runtime can tell: pass it as `platform`, so that a token is checked again when the app comes back to the front. */
export function expoPlatform(): Pick<Platform, "onResume"> {
  return { onResume: onAppActive };
}

function onAppActive(callback: () => void): () => void {
  const subscription = AppState.addEventListener("change", (state) => {
    if (state === "active") callback();
  });
  return () => subscription.remove();
}

interface Entries {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
}

function entriesOf(options: SecureStore.SecureStoreOptions): Entries {
  return {
    get: (key) => SecureStore.getItemAsync(key, options),
    set: (key, value) => SecureStore.setItemAsync(key, value, options),
    remove: (key) => SecureStore.deleteItemAsync(key, options),
  };
}

/** A value, and where its pieces are: in `slot`, `count` of them; none for a value in one entry. */
interface Whole {
  readonly value: string | null;
  readonly slot: number;
  readonly count: number;
}

async function readWhole(entries: Entries, key: string, previous?: string): Promise<Whole> {
  const entry = await entries.get(key);
  const [, slot, count] = (entry && pointer.exec(entry)) || [];
  if (entry === null || !slot) return { value: entry, slot: 1, count: 0 };
  const names = pieceNames(key, Number(slot), Number(count));
  const pieces = await Promise.all(names.map(entries.get));
  const isComplete = pieces.every((piece) => piece !== null);
  // Another process may have swapped meanwhile; if the entry still says the same, the pieces are gone for good.
  if (!isComplete && entry !== previous) return readWhole(entries, key, entry);
  return { value: isComplete ? pieces.join("") : null, slot: Number(slot), count: Number(count) };
}

async function swap(entries: Entries, key: string, expected: string | null, next: string | null): Promise<boolean> {
  const old = await readWhole(entries, key);
  if (old.value !== expected) return false;
  // The other slot than the one in use: what is there is whole until the entry under `key` has changed.
  const slot = 1 - old.slot;
  const pieces = next?.match(/[^\n\r\t -~]/.test(next) ? anyPiece : asciiPiece) ?? [];
  if (next === null) await entries.remove(key);
  else if (pieces.length < 2) await entries.set(key, next);
  else {
    const names = pieceNames(key, slot, pieces.length);
    await Promise.all(names.map((name, index) => entries.set(name, pieces[index] ?? "")));
    await entries.set(key, `@conduit:${slot}:${pieces.length}`);
  }
  await Promise.all(pieceNames(key, old.slot, old.count).map(entries.remove));
  return true;
}

function pieceNames(key: string, slot: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${key}.${slot}.${index}`);
}
