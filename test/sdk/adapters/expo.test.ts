// The SecureStore adapter over stand-ins for the two native modules.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expoPlatform, secureStore } from "../../../sdk/src/adapters/expo.ts";
import { createConduit, type GetToken, isConduitError } from "../../../sdk/src/index.ts";
import { createSession } from "../../../sdk/src/session/index.ts";
import { rejection } from "../fake-link.ts";
import { fakeJwt } from "../fake-platform.ts";
import { phone } from "./fake-phone.ts";

beforeEach(() => {
  phone.reset();
});
afterEach(() => expect(phone.listeners.size).toBe(0));

const LONG = "a".repeat(5000);
/** Values of every shape: short, at the edge, in pieces, and with characters of up to four bytes. */
const VALUES = [
  "",
  "short",
  "x".repeat(1800),
  "x".repeat(1801),
  LONG,
  "ü€😀".repeat(700),
  `${"x".repeat(449)}😀`.repeat(9),
];

describe("what is kept", () => {
  test("starts with the JWT an app kept there before", async () => {
    phone.entries.set("jwt_token", "head.body.signature");
    const store = secureStore();
    expect(await store.read()).toBe("head.body.signature");
    expect(await store.swap("head.body.signature", LONG)).toBe(true);
    expect(await store.read()).toBe(LONG);
  });

  test.each(VALUES.map((value) => [value.length, value]))(
    "%i characters come back whole, and leave no piece behind",
    async (_length, value) => {
      const store = secureStore({ key: "session" });
      expect(await store.swap(null, LONG)).toBe(true);
      expect(await store.swap(LONG, value)).toBe(true);
      expect(await store.read()).toBe(value);
      expect(await secureStore({ key: "session" }).read()).toBe(value);
      expect(await store.swap(value, null)).toBe(true);
      expect([await store.read(), phone.entries.size]).toEqual([null, 0]);
    },
  );

  test("only what was expected is replaced, also by swaps at the same time", async () => {
    const store = secureStore();
    const swaps = await Promise.all(["a", "b", LONG].map((value) => store.swap(null, value)));
    expect([swaps, await store.read()]).toEqual([[true, false, false], "a"]);
    expect(await store.swap("other", "c")).toBe(false);
  });
});

describe("with a session", () => {
  const open = (source: GetToken) => {
    const session = createSession({ store: secureStore({ key: "jwt_token" }), refresh: source });
    return createConduit({ url: "https://proxy.example/link", getToken: session, platform: expoPlatform() });
  };

  test("the JWT that was there is used, and what replaces it is kept for the next start", async () => {
    phone.entries.set("jwt_token", fakeJwt({ sub: "123" }));
    let round = 0;
    const source = () => ({ token: `t${++round}`, expiresIn: 900, refreshToken: "r".repeat(4000) });
    const first = open(source);
    expect([await first.tokens.getToken(), round]).toEqual([fakeJwt({ sub: "123" }), 0]);
    expect(await first.tokens.refresh()).toBe("t1");
    first.dispose();
    const next = open(source);
    expect([await next.tokens.getToken(), round]).toEqual(["t1", 1]);
    await next.signOut();
    expect([...phone.entries.values()].join()).not.toMatch(/t1|rrr/);
    next.dispose();
  });

  test("a locked phone signs nobody out", async () => {
    await secureStore().swap(null, fakeJwt({ sub: "123" }));
    phone.isLocked = true;
    const conduit = open(() => null);
    expect(isConduitError(await rejection(conduit.tokens.getToken()), "refresh_failed")).toBe(true);
    phone.isLocked = false;
    expect(await conduit.tokens.getToken()).toBe(fakeJwt({ sub: "123" }));
    conduit.dispose();
  });
});

describe("what goes wrong", () => {
  test("killed between any two writes, the old value or the new one is there, whole", async () => {
    const outcomes = new Set<string | null>();
    for (let writes = 0; writes < 12; writes += 1) {
      phone.reset();
      await secureStore().swap(null, LONG);
      phone.writesLeft = writes;
      const next = "b".repeat(6000);
      await rejection(Promise.resolve(secureStore().swap(LONG, next)));
      phone.writesLeft = Number.POSITIVE_INFINITY;
      const kept = await secureStore().read();
      expect([LONG, next]).toContain(kept);
      outcomes.add(kept);
      expect(await secureStore().swap(kept, "afterwards")).toBe(true);
    }
    expect(outcomes.size).toBe(2);
  });

  test("a locked phone rejects: unknown is not signed out", async () => {
    const store = secureStore();
    await store.swap(null, "session");
    phone.isLocked = true;
    expect(await rejection(Promise.resolve(store.read()))).toBeInstanceOf(Error);
    expect(await rejection(Promise.resolve(store.swap("session", null)))).toBeInstanceOf(Error);
    phone.isLocked = false;
    expect(await store.read()).toBe("session");
  });

  test("pieces that are gone for good are nothing, and can be written over", async () => {
    const store = secureStore();
    await store.swap(null, LONG);
    for (const key of phone.entries.keys()) if (key !== "jwt_token") phone.entries.delete(key);
    expect([await store.read(), await store.swap(null, "new"), await store.read()]).toEqual([null, true, "new"]);
  });

  test("a key that SecureStore would refuse is refused at once", () => {
    expect(() => secureStore({ key: "jwt token" })).toThrow(TypeError);
  });
});

test("entries can be read behind a locked screen, and shared, as asked", async () => {
  await secureStore().swap(null, "a");
  await secureStore({ keychainAccessible: 5, accessGroup: "group.app" }).read();
  expect(phone.options.at(0)).toEqual({ keychainAccessible: 0 });
  expect(phone.options.at(-1)).toEqual({ keychainAccessible: 5, accessGroup: "group.app" });
});

test("the app coming to the front is told, to the store's reader and to the client", () => {
  const told: string[] = [];
  const stops = [
    secureStore().subscribe?.(() => told.push("store")),
    expoPlatform().onResume?.(() => told.push("client")),
  ];
  for (const state of ["inactive", "background", "active"]) for (const listener of phone.listeners) listener(state);
  for (const stop of stops) stop?.();
  expect(told).toEqual(["store", "client"]);
});
