// Tabs of one origin as a session sees them: one store, one lock manager, one channel, and a control plane that judges refresh tokens by the
// rules of the real one (server/src/policy/refresh.ts).
import { createConduit, type GetToken, type Grant } from "../../../sdk/src/index.ts";
import type { OpenChannel } from "../../../sdk/src/session/channel.ts";
import { createSession, memoryStore, type SessionPlatform, type TokenStore } from "../../../sdk/src/session/index.ts";
import type { Locks } from "../../../sdk/src/session/lock.ts";
import { judgeRefresh } from "../../../server/src/policy/refresh.ts";

/** Lets wait who must: `await pause(what)` returns when the test, or the explorer, says so. */
export type Pause = (what: string) => Promise<void>;

/** Web Locks, exclusive ones only. */
export function fakeLocks(): Locks {
  const queues = new Map<string, Promise<unknown>>();
  const request = (name: string, options: { readonly signal?: AbortSignal }, work: () => Promise<unknown>) => {
    const before = queues.get(name) ?? Promise.resolve();
    const aborted = new Promise<never>((_, reject) => {
      const onAbort = () => reject(new DOMException("aborted", "AbortError"));
      if (options.signal?.aborted) onAbort();
      options.signal?.addEventListener("abort", onAbort);
    });
    let isGranted = false;
    const granted = before.then(() => {
      isGranted = true;
    });
    const result = Promise.race([granted, aborted]).then(() => work());
    const done = result.catch(() => {});
    // Who leaves the queue does not hold up those behind.
    queues.set(name, Promise.all([before, Promise.race([done, aborted.catch(() => (isGranted ? done : undefined))])]));
    return result;
  };
  return { request: request as unknown as Locks["request"] };
}

/** BroadcastChannels: everybody hears but who speaks, later. */
export function fakeChannels(pause: Pause): OpenChannel {
  const open = new Set<{ readonly name: string; readonly onChange: () => void }>();
  return (name, onChange) => {
    const self = { name, onChange };
    open.add(self);
    return {
      announce() {
        for (const other of [...open]) {
          if (other === self || other.name !== name) continue;
          void pause("message").then(() => open.has(other) && other.onChange());
        }
      },
      close: () => void open.delete(self),
    };
  };
}

/** A control plane with one session per login; tells how often each generation was rotated and whether a reuse ended it. */
export function fakeControlPlane(nowMs: () => number) {
  const families = new Map<
    string,
    { counter: number; rotateTimeMs: number | undefined; attemptId: string; isOpen: boolean }
  >();
  let tokens = 0;
  const rotations = new Map<string, number>();
  const plane = {
    rotations,
    reuses: 0,
    requests: 0,
    /** Opens a session; answers what a login answers. */
    login(): { readonly token: string; readonly refreshToken: string; readonly expiresIn: number } {
      const family = `f${families.size + 1}`;
      families.set(family, { counter: 1, rotateTimeMs: undefined, attemptId: "", isOpen: true });
      return { token: `${family}-t${++tokens}`, refreshToken: `${family}.1`, expiresIn: 900 };
    },
    /** One call of the token endpoint; `null` = invalid_grant. */
    refresh(refreshToken: string, attemptId: string): Grant | null {
      plane.requests++;
      const [name = "", counter = ""] = refreshToken.split(".");
      const family = families.get(name);
      if (!family?.isOpen) return null;
      const verdict = judgeRefresh(family, { counter: Number(counter), attemptId }, nowMs());
      if (verdict === "reuse") plane.reuses++;
      if (verdict === "reuse" || verdict === "unknown") {
        family.isOpen = false;
        return null;
      }
      if (verdict === "rotate") {
        const generation = `${name}.${family.counter}`;
        rotations.set(generation, (rotations.get(generation) ?? 0) + 1);
        Object.assign(family, { counter: family.counter + 1, rotateTimeMs: nowMs(), attemptId });
      }
      return { token: `${name}-t${++tokens}`, refreshToken: `${name}.${family.counter}`, expiresIn: 900 };
    },
    revoke(refreshToken: string | undefined) {
      const family = families.get(refreshToken?.split(".")[0] ?? "");
      if (family) family.isOpen = false;
    },
  };
  return plane;
}

/** A client in a tab. Closing it leaves the store as it is, whatever was under way. */
export function openTab(parts: {
  readonly store: TokenStore;
  readonly platform: Partial<SessionPlatform>;
  readonly getToken: GetToken;
  readonly revoke?: (refreshToken: string | undefined) => Promise<void>;
  readonly autoRefresh?: boolean;
}) {
  const { store, platform, getToken, revoke, autoRefresh = false } = parts;
  const session = createSession({ store, platform, refresh: { getToken, ...(revoke && { revoke }) } });
  const url = "https://proxy.example/link";
  const conduit = createConduit({ url, getToken: session, platform, autoRefresh });
  return { session, conduit, tokens: conduit.tokens };
}

/** A store that counts and can be made to fail. */
export function watchedStore(inner: TokenStore = memoryStore()) {
  const watched = {
    fails: undefined as "read" | "swap" | undefined,
    written: [] as (string | null)[],
    read() {
      if (watched.fails === "read") throw new Error("User interaction is not allowed");
      return inner.read();
    },
    swap(expected: string | null, next: string | null) {
      if (watched.fails === "swap") throw new Error("quota exceeded");
      watched.written.push(next);
      return inner.swap(expected, next);
    },
  };
  return watched satisfies TokenStore;
}
