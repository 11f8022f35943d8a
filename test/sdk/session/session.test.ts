import { expect, test } from "vitest";
import { createConduit, type Grant, isConduitError, type RefreshContext } from "../../../sdk/src/index.ts";
import { memoryStore, type TokenStore } from "../../../sdk/src/session/index.ts";
import { rejection } from "../fake-link.ts";
import { createFakePlatform, settle } from "../fake-platform.ts";
import { fakeChannels, fakeControlPlane, fakeLocks, openTab, watchedStore } from "./tabs.ts";

const atOnce = async () => {};

/** An origin with a control plane behind it; `hold` keeps the answers of its token endpoint back. */
function openOrigin({ store = watchedStore(), isDocument = true }: { store?: TokenStore; isDocument?: boolean } = {}) {
  const fake = createFakePlatform();
  const plane = fakeControlPlane(() => fake.platform.now?.() ?? 0);
  const locks = isDocument ? fakeLocks() : undefined;
  const openChannel = isDocument ? fakeChannels(atOnce) : undefined;
  const contexts: RefreshContext[] = [];
  const origin = {
    ...fake,
    store,
    plane,
    contexts,
    /** What happens to an answer of the token endpoint after the server has made it. */
    deliver: async (answer: Grant | null): Promise<Grant | null> => answer,
    revoked: [] as (string | undefined)[],
    tab: () =>
      openTab({
        store,
        platform: { ...fake.platform, locks, openChannel },
        getToken: async (context) => {
          contexts.push(context);
          await settle();
          return origin.deliver(plane.refresh(context.refreshToken ?? "", context.attemptId));
        },
        revoke: async (refreshToken) => {
          origin.revoked.push(refreshToken);
          plane.revoke(refreshToken);
        },
      }),
  };
  return origin;
}

const kept = async (store: TokenStore) => JSON.parse((await store.read()) ?? "null");

test("what a login brought is used by every tab without asking, and the refresh token stays in the store", async () => {
  const origin = openOrigin();
  const [a, b] = [origin.tab(), origin.tab()];
  const login = origin.plane.login();
  await a.session.signIn(login);
  expect([await a.tokens.getToken(), await b.tokens.getToken()]).toEqual([login.token, login.token]);
  expect(origin.plane.requests).toBe(0);
  expect((await b.tokens.acquire()).refreshToken).toBeUndefined();
});

test("a restart goes on with the stored token for the rest of its life, by the wall clock", async () => {
  const origin = openOrigin();
  const login = origin.plane.login();
  await origin.tab().session.signIn(login);
  await origin.advance(300_000);
  const restarted = origin.tab();
  expect(await restarted.tokens.getToken()).toBe(login.token);
  await origin.advance(539_000);
  expect(await restarted.tokens.getToken()).toBe(login.token);
  expect(origin.plane.requests).toBe(0);
  await origin.advance(61_000);
  expect(await restarted.tokens.getToken()).toBe("f1-t2");
});

test.each([true, false])(
  "ten tabs whose token expires at once rotate once (documents with locks: %s)",
  async (isDocument) => {
    const origin = openOrigin({ isDocument });
    const tabs = Array.from({ length: 10 }, () => origin.tab());
    await tabs[0]?.session.signIn(origin.plane.login());
    for (const tab of tabs) await tab.tokens.getToken();
    await origin.advance(900_000);
    const tokens = await Promise.all(tabs.map((tab) => tab.tokens.getToken()));
    expect(new Set(tokens).size).toBe(1);
    expect([...origin.plane.rotations.values(), origin.plane.reuses]).toEqual([1, 0]);
    if (isDocument) expect(origin.plane.requests, "and only one of them asks").toBe(1);
    expect((await kept(origin.store)).refreshToken).toBe("f1.2");
  },
);

test("the attempt is in the store before it is sent; after a crash the next start finishes it: the server answers the same successor", async () => {
  const origin = openOrigin();
  await origin.tab().session.signIn(origin.plane.login());
  await origin.advance(900_000);
  let pending: { attemptId?: string; refreshToken?: string } = {};
  origin.deliver = async () => {
    pending = await kept(origin.store);
    return new Promise<never>(() => {});
  };
  void origin
    .tab()
    .tokens.getToken()
    .catch(() => {});
  await settle();
  await settle();
  expect(pending).toMatchObject({ refreshToken: "f1.1", attemptId: origin.contexts[0]?.attemptId });
  // A day later, far outside the server's 30 s; the crashed tab's lock is gone with it.
  await origin.advance(86_400_000);
  origin.deliver = async (answer) => answer;
  expect(await origin.tab().tokens.getToken()).toBe("f1-t3");
  expect(origin.contexts.map(({ attemptId, refreshToken }) => [attemptId, refreshToken])).toEqual([
    [pending.attemptId, "f1.1"],
    [pending.attemptId, "f1.1"],
  ]);
  expect([await kept(origin.store).then(({ refreshToken, attemptId }) => [refreshToken, attemptId])]).toEqual([
    ["f1.2", undefined],
  ]);
  expect([...origin.plane.rotations.values(), origin.plane.reuses]).toEqual([1, 0]);
});

test("a store that could not be written after the rotation costs nobody the session: the same successor is answered again", async () => {
  const store = watchedStore();
  const origin = openOrigin({ store });
  const tab = origin.tab();
  await tab.session.signIn(origin.plane.login());
  await origin.advance(900_000);
  origin.deliver = async (answer) => {
    store.fails = "swap";
    return answer;
  };
  expect(await tab.tokens.getToken()).toBe("f1-t2");
  store.fails = undefined;
  origin.deliver = async (answer) => answer;
  await origin.advance(900_000);
  expect(await tab.tokens.getToken()).toBe("f1-t3");
  expect([...origin.plane.rotations.values(), origin.plane.reuses]).toEqual([1, 0]);
});

test("sign-out is heard in every tab, ends the session at the server, and no tab has a token afterwards", async () => {
  const origin = openOrigin();
  const [a, b, silent] = [origin.tab(), origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  for (const tab of [a, b]) await tab.tokens.getToken();
  await a.conduit.signOut();
  await settle();
  expect([a.conduit.state, b.conduit.state]).toEqual(["empty", "empty"]);
  expect(origin.revoked).toEqual(["f1.1"]);
  for (const tab of [a, b, silent]) {
    expect(isConduitError(await rejection(tab.tokens.getToken()), "session_lost")).toBe(true);
  }
  expect(origin.plane.requests).toBe(0);
  expect(JSON.stringify(await kept(origin.store))).not.toMatch(/f1/);
});

test("a refresh under way in another tab cannot undo a sign-out", async () => {
  for (const isDocument of [true, false]) {
    const origin = openOrigin({ isDocument });
    const [a, b] = [origin.tab(), origin.tab()];
    await a.session.signIn(origin.plane.login());
    for (const tab of [a, b]) await tab.tokens.getToken();
    const answer = Promise.withResolvers<void>();
    origin.deliver = async (grant) => {
      await answer.promise;
      return grant;
    };
    const refresh = rejection(b.tokens.refresh());
    await settle();
    await a.conduit.signOut();
    answer.resolve();
    expect(isConduitError(await refresh, "session_lost")).toBe(true);
    expect([b.conduit.state === "ready", (await kept(origin.store)).signedOut]).toEqual([false, true]);
  }
});

test("when another person signs in elsewhere, the old one's requests are not sent again in the new one's name", async () => {
  const origin = openOrigin();
  const [a, b] = [origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  const ofFirst = await b.tokens.acquire();
  await a.session.signIn(origin.plane.login());
  await settle();
  expect(await b.tokens.getToken()).toBe("f2-t2");
  expect(isConduitError(await rejection(b.tokens.renew(ofFirst)), "session_lost")).toBe(true);
});

test("two clients of one session: when it has ended, the next person's token is not the old one's for either", async () => {
  const origin = openOrigin({ isDocument: false });
  const { session, tokens } = origin.tab();
  const url = "https://proxy.example/second-link";
  const second = createConduit({ url, getToken: session, platform: origin.platform, autoRefresh: false });
  await session.signIn(origin.plane.login());
  const ofFirst = await second.tokens.acquire();
  origin.plane.revoke("f1.1");
  expect(isConduitError(await rejection(tokens.refresh()), "session_lost")).toBe(true);
  await session.signIn(origin.plane.login());
  expect(await second.tokens.getToken()).toBe("f2-t2");
  expect(isConduitError(await rejection(second.tokens.renew(ofFirst)), "session_lost")).toBe(true);
});

test("without a channel the change of person is noticed at the next refresh, and signs the old one out first", async () => {
  const origin = openOrigin({ isDocument: false });
  const [a, b] = [origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  await b.tokens.getToken();
  await a.session.signIn(origin.plane.login());
  expect(isConduitError(await rejection(b.tokens.refresh()), "session_lost")).toBe(true);
  expect(await b.tokens.getToken()).toMatch(/^f2-/);
});

test("a store that cannot be read means unknown: the call fails, nobody is signed out", async () => {
  const store = watchedStore();
  const origin = openOrigin({ store });
  const tab = origin.tab();
  const login = origin.plane.login();
  await tab.session.signIn(login);
  const restarted = origin.tab();
  store.fails = "read";
  expect(isConduitError(await rejection(restarted.tokens.getToken()), "refresh_failed")).toBe(true);
  expect(restarted.conduit.state).toBe("empty");
  store.fails = undefined;
  expect(await restarted.tokens.getToken()).toBe(login.token);
});

test("network errors, 429 and 5xx keep the session; invalid_grant ends it once, here and in the store", async () => {
  const origin = openOrigin();
  const tab = origin.tab();
  await tab.session.signIn(origin.plane.login());
  let lost = 0;
  tab.conduit.on("lost", () => {
    lost++;
  });
  await origin.advance(900_000);
  origin.deliver = () => Promise.reject(new TypeError("fetch failed"));
  expect(isConduitError(await rejection(tab.tokens.getToken()), "refresh_failed")).toBe(true);
  expect([lost, (await kept(origin.store)).signedOut]).toEqual([0, undefined]);
  origin.deliver = async () => null;
  expect(isConduitError(await rejection(tab.tokens.getToken()), "session_lost")).toBe(true);
  expect([lost, tab.conduit.state, (await kept(origin.store)).signedOut]).toEqual([1, "lost", true]);
});

test("invalid_grant for a token that another process has replaced meanwhile is no sign-out: the newer one is taken", async () => {
  const origin = openOrigin({ isDocument: false });
  const [a, b] = [origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  for (const tab of [a, b]) await tab.tokens.getToken();
  await origin.advance(900_000);
  let round = 0;
  origin.deliver = async (answer) => {
    if (++round > 1) return answer;
    await b.tokens.getToken();
    return null;
  };
  expect(await a.tokens.getToken()).toBe(await b.tokens.getToken());
  expect(a.conduit.state).toBe("ready");
});

test("a tab frozen while it holds the lock stops the others for the lock's time only, and its attempt is finished by them", async () => {
  const origin = openOrigin();
  const [a, b] = [origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  for (const tab of [a, b]) await tab.tokens.getToken();
  await origin.advance(900_000);
  let round = 0;
  origin.deliver = (answer) => (++round === 1 ? new Promise<never>(() => {}) : Promise.resolve(answer));
  void a.tokens.getToken().catch(() => {});
  await settle();
  const waiting = b.tokens.getToken();
  await origin.advance(4_999);
  expect(origin.plane.requests).toBe(1);
  await origin.advance(1);
  expect(await waiting).toBe("f1-t3");
  expect(new Set(origin.contexts.map(({ attemptId }) => attemptId)).size).toBe(1);
  expect([...origin.plane.rotations.values(), origin.plane.reuses]).toEqual([1, 0]);
});

test("refresh() brings a new token even if another tab has a newer one", async () => {
  const origin = openOrigin({ isDocument: false });
  const [a, b] = [origin.tab(), origin.tab()];
  await a.session.signIn(origin.plane.login());
  await b.tokens.getToken();
  await a.tokens.refresh();
  await b.tokens.refresh();
  expect(origin.plane.rotations.size).toBe(2);
});

test("a bare JWT, as an app kept it before, is used until it is refused, and then replaced in the new format", async () => {
  const store = memoryStore();
  await store.swap(null, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln");
  const tab = openTab({
    store,
    platform: createFakePlatform().platform,
    getToken: () => ({ token: "t2", refreshToken: "r2" }),
  });
  const first = await tab.tokens.acquire();
  expect(first.token).toBe("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln");
  expect((await tab.tokens.renew(first)).token).toBe("t2");
  expect(await kept(store)).toMatchObject({ v: 1, generation: 1, token: "t2", refreshToken: "r2" });
});

test("the format of a later version is left alone", async () => {
  const store = memoryStore();
  const later = '{"v":2,"what":"ever"}';
  await store.swap(null, later);
  const tab = openTab({ store, platform: createFakePlatform().platform, getToken: () => "t1" });
  expect(isConduitError(await rejection(tab.tokens.getToken()), "refresh_failed")).toBe(true);
  await rejection(tab.session.signIn("t1"));
  expect(await store.read()).toBe(later);
});

test("a wall clock set back makes no stored token outlive itself, one set forward only asks earlier", async () => {
  const origin = openOrigin();
  const login = origin.plane.login();
  await origin.tab().session.signIn(login);
  origin.jumpWall(-86_400_000);
  const back = await origin.tab().tokens.acquire();
  expect([back.token, back.lifetimeMs]).toEqual([login.token, 900_000]);
  origin.jumpWall(2 * 86_400_000);
  expect(await origin.tab().tokens.getToken()).toBe("f1-t2");
});

test("dispose() closes the channel: nothing of it stays open", async () => {
  let open = 0;
  const openChannel = () => {
    open++;
    return { announce() {}, close: () => void open-- };
  };
  const platform = { ...createFakePlatform().platform, openChannel };
  const tab = openTab({ store: memoryStore(), platform, getToken: () => "t1" });
  expect(open, "not before it is used").toBe(0);
  await tab.tokens.getToken();
  expect(open).toBe(1);
  tab.conduit.dispose();
  expect(open).toBe(0);
});
