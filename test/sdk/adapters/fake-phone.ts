// Stands in for `expo-secure-store` and `react-native` (an alias in .ci/vitest.config.ts): an entry holds 2,048 bytes, reads fail while the
// phone is locked, and the app can die between any two writes.
interface Phone {
  readonly entries: Map<string, string>;
  /** Writes until the app dies. */
  writesLeft: number;
  isLocked: boolean;
  /** With what options each entry was asked for. */
  readonly options: unknown[];
  readonly listeners: Set<(state: string) => void>;
  /** Unlocked, empty, alive. */
  reset(): void;
}

export const phone: Phone = {
  entries: new Map(),
  writesLeft: Number.POSITIVE_INFINITY,
  isLocked: false,
  options: [],
  listeners: new Set(),
  reset() {
    Object.assign(phone, { writesLeft: Number.POSITIVE_INFINITY, isLocked: false });
    phone.entries.clear();
    phone.options.length = 0;
  },
};

function access(key: string, options: unknown): void {
  if (!/^[\w.-]+$/.test(key)) throw new Error("Invalid key provided to SecureStore");
  if (phone.isLocked) throw new Error("User interaction is not allowed");
  phone.options.push(options);
}

function write(): void {
  if (phone.writesLeft-- <= 0) throw new Error("killed");
}

export const AFTER_FIRST_UNLOCK = 0;

export async function getItemAsync(key: string, options: unknown): Promise<string | null> {
  access(key, options);
  return phone.entries.get(key) ?? null;
}

export async function setItemAsync(key: string, value: string, options: unknown): Promise<void> {
  access(key, options);
  if (Buffer.byteLength(value) > 2048) throw new Error("Value too large");
  write();
  phone.entries.set(key, value);
}

export async function deleteItemAsync(key: string, options: unknown): Promise<void> {
  access(key, options);
  write();
  phone.entries.delete(key);
}

export const AppState = {
  addEventListener(_type: "change", listener: (state: string) => void) {
    phone.listeners.add(listener);
    return { remove: () => phone.listeners.delete(listener) };
  },
};
