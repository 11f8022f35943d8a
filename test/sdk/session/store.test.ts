import { expect, test } from "vitest";
import { type KeyValueStorage, memoryStore, storageStore, type TokenStore } from "../../../sdk/src/session/index.ts";

function mapStorage(isAsync: boolean): KeyValueStorage & { readonly map: Map<string, string> } {
  const map = new Map<string, string>();
  const maybe = <T>(value: T) => (isAsync ? Promise.resolve(value) : value);
  return {
    map,
    getItem: (key) => maybe(map.get(key) ?? null),
    setItem: (key, value) => maybe(void map.set(key, value)) as undefined,
    removeItem: (key) => maybe(void map.delete(key)) as undefined,
  };
}

test.each<[string, () => TokenStore]>([
  ["memory", memoryStore],
  ["web storage", () => storageStore(mapStorage(false))],
  ["a storage that answers promises", () => storageStore(mapStorage(true))],
])("%s compares and swaps", async (_name, open) => {
  const store = open();
  expect(await store.read()).toBeNull();
  expect(await store.swap("x", "y")).toBe(false);
  expect(await store.swap(null, "a")).toBe(true);
  expect(await store.swap(null, "b")).toBe(false);
  expect(await store.swap("a", "b")).toBe(true);
  expect(await store.read()).toBe("b");
  expect(await store.swap("b", null)).toBe(true);
  expect(await store.read()).toBeNull();
});

test("web storage is compared and written in one turn: of two that swap at once, one does", async () => {
  const store = storageStore(mapStorage(false));
  expect(await Promise.all([store.swap(null, "a"), store.swap(null, "b")])).toEqual([true, false]);
});

test("sessions under different keys do not meet", async () => {
  const storage = mapStorage(false);
  await storageStore(storage, "one").swap(null, "1");
  await storageStore(storage, "two").swap(null, "2");
  expect([...storage.map]).toEqual([
    ["one", "1"],
    ["two", "2"],
  ]);
});
