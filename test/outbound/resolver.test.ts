import { describe, expect, test } from "vitest";
import { createResolver, type ResolvedAddress } from "../../server/src/outbound/resolver.ts";

const V4: readonly ResolvedAddress[] = [{ address: "192.0.2.7", family: 4 }];

function fixture(answer: () => Promise<readonly ResolvedAddress[]> = async () => V4, maxNames = 3) {
  let nowMs = 0;
  const asked: string[] = [];
  const lookup = (hostname: string) => {
    asked.push(hostname);
    return answer();
  };
  const resolve = createResolver({ clock: { now: () => nowMs, monotonic: () => nowMs }, lookup, maxNames });
  return {
    resolve,
    asked,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe("createResolver", () => {
  test("asks again after 60 s and not before", async () => {
    const { resolve, asked, advance } = fixture();
    await resolve("a.example");
    advance(59_999);
    expect(await resolve("a.example")).toEqual(V4);
    expect(asked).toHaveLength(1);
    advance(1);
    await resolve("a.example");
    expect(asked).toHaveLength(2);
  });

  test("asks once for simultaneous callers", async () => {
    const { resolve, asked } = fixture();
    await Promise.all(Array.from({ length: 50 }, () => resolve("a.example")));
    expect(asked).toEqual(["a.example"]);
  });

  test("does not keep a failure", async () => {
    let isDown = true;
    const { resolve } = fixture(async () => {
      if (isDown) throw new Error("ENOTFOUND");
      return V4;
    });
    await expect(resolve("a.example")).rejects.toThrow("ENOTFOUND");
    isDown = false;
    expect(await resolve("a.example")).toEqual(V4);
  });

  test("keeps at most maxNames names: a client that invents names cannot fill the memory", async () => {
    const { resolve, asked } = fixture();
    for (const name of ["a", "b", "c", "d"]) await resolve(name);
    await resolve("d");
    await resolve("b");
    expect(asked).toEqual(["a", "b", "c", "d"]);
    await resolve("a");
    expect(asked).toEqual(["a", "b", "c", "d", "a"]);
  });
});
