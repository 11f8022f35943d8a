import { expect, test } from "vitest";
import { ServedCache } from "../../../server/src/proxy/config/served-cache.ts";
import type { ServedLink } from "../../../server/src/proxy/served-link.ts";

const link = (): ServedLink => ({}) as ServedLink;

test("what is in use stays, what is not goes, and two halves are the most", () => {
  const cache = new ServedCache(3);
  const used = link();
  cache.set("used", used);
  for (let at = 0; at < 20; at += 1) {
    cache.set(`idle-${at}`, link());
    expect(cache.get("used")).toBe(used);
  }
  const left = Array.from({ length: 20 }, (_, at) => cache.has(`idle-${at}`)).filter(Boolean).length;
  expect(left).toBeLessThan(6);
  expect(cache.has("idle-0")).toBe(false);
});

test("a deleted one is gone from both halves; a copy is another cache", () => {
  const cache = new ServedCache(1);
  cache.set("a", link());
  cache.set("b", link());
  const copy = cache.copy();
  cache.delete("a");
  cache.delete("b");
  expect([cache.has("a"), cache.has("b")]).toEqual([false, false]);
  expect([copy.has("a"), copy.has("b")]).toEqual([true, true]);
});
