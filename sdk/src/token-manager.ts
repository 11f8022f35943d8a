import { createEmitter } from "./emitter.ts";
import { ConduitError } from "./errors.ts";
import type { HeldToken } from "./expiry.ts";
import { type ConduitEvents, type GetToken, type Grant, parseGrant } from "./grant.ts";
import { defaultPlatform, type Platform } from "./platform.ts";
import { createRefreshSlot } from "./refresh-slot.ts";
import {
  type AcquireOptions,
  acceptGrant,
  acquireToken,
  dropToken,
  type Renewal,
  replaceToken,
  settled,
  wait,
} from "./renewal.ts";

/** `empty`: no token yet, or signed out · `ready` · `refreshing`: a token is being fetched · `lost`: the session ended by itself. */
export type ConduitState = "empty" | "ready" | "refreshing" | "lost";

/** Options of a {@link TokenManager}. */
export interface TokenManagerOptions {
  /** Where tokens come from; `createConduit` calls it `getToken`. Never called twice at once. */
  readonly refresh: GetToken;
  /** Limit of one call of `refresh`, in ms. Default 10,000; 1 to 2^31 - 1. */
  readonly refreshTimeoutMs?: number | undefined;
  /** Refresh by a timer too, not only when a call needs a token. Default true; turn it off on servers and edge workers. */
  readonly autoRefresh?: boolean | undefined;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/**
 * Holds one user's token in memory and replaces it in time.
 *
 * Refresh starts `min(60 s, a fifth of the lifetime)` before expiry, behind calls that go on with the old token; they wait only for a token
 * that has expired or is missing. One refresh at a time, however many ask. Errors of `refresh` never sign out; `null` does.
 * Failed refreshes are spaced by a jittered backoff; a call that needs a token asks at once all the same, until ten have failed in a row or
 * the error said `retryAfterMs`: then it is refused with the last error. All methods are bound.
 */
export class TokenManager {
  /** What a user interface shows; read it again on `change`. */
  declare readonly state: ConduitState;

  /** Adds a listener; answers the function that removes it. */
  declare readonly on: <Type extends keyof ConduitEvents>(
    type: Type,
    listener: (event: ConduitEvents[Type]) => void,
  ) => () => void;

  /**
   * Takes a token received elsewhere, for instance at login. A refresh under way is given up, its waiters get this token.
   * `expiresInSeconds` counts from now; default: what the grant or the token itself says. Throws `TypeError` for what is no token.
   */
  declare readonly setToken: (grant: Grant, expiresInSeconds?: number) => void;

  /** A token that has not expired. Rejects with `session_lost`, `refresh_failed`, `refresh_timeout`, or the signal's reason. */
  declare readonly getToken: (options?: AcquireOptions) => Promise<string>;

  /** Asks for a new token now, or joins the refresh under way. Rejects as `getToken` does; the old token is kept then. */
  declare readonly refresh: (options?: Pick<AcquireOptions, "signal">) => Promise<string>;

  /** Forgets the token. A refresh under way cannot bring it back; its waiters get `session_lost`. */
  declare readonly clear: () => void;

  /** Forgets everything and stops all timers and listeners; later calls reject with `disposed`. May be called again. */
  declare readonly dispose: () => void;

  /** As {@link getToken}, with the receipt: pass it to {@link renew} if the token is refused. @internal */
  declare readonly acquire: (options?: AcquireOptions) => Promise<HeldToken>;

  /** A token other than the refused one; `session_lost` when that was of a session that has ended. @internal */
  declare readonly renew: (refused: HeldToken, signal?: AbortSignal | null) => Promise<HeldToken>;

  /** Does nothing until a token is set or asked for. Throws `TypeError` for options out of bounds. */
  constructor(options: TokenManagerOptions) {
    const { refresh, refreshTimeoutMs: timeoutMs = 10_000, autoRefresh = true } = options;
    if (typeof refresh !== "function") throw new TypeError("getToken must be a function");
    if (!(timeoutMs >= 1 && timeoutMs < 2 ** 31)) throw new TypeError("refreshTimeoutMs must be 1 to 2^31 - 1");
    const platform = { ...defaultPlatform, ...options.platform };
    const renewal: Renewal = {
      source: refresh,
      autoRefresh,
      platform,
      slot: createRefreshSlot<HeldToken>(platform, timeoutMs),
      events: createEmitter<ConduitEvents>(),
      generation: 0,
      since: 0,
      lost: false,
      ...settled,
      cancel() {},
    };
    // Closures instead of private fields: as hidden from whoever prints the object, and a tenth smaller in ES2020.
    Object.defineProperties(this, Object.getOwnPropertyDescriptors(methodsOf(renewal)));
  }
}

function methodsOf(renewal: Renewal): { readonly [Name in keyof TokenManager]: TokenManager[Name] } {
  const acquire = (options: AcquireOptions = {}) => acquireToken(renewal, options);
  return {
    get state() {
      if (renewal.lost) return "lost";
      if (renewal.slot.current()) return "refreshing";
      return renewal.held ? "ready" : "empty";
    },
    on: renewal.events.on,
    setToken(grant, expiresInSeconds) {
      if (!Number.isFinite(expiresInSeconds ?? 0)) throw new TypeError("expiresInSeconds must be finite");
      const parsed = parseGrant(grant);
      acceptGrant(renewal, { ...parsed, expiresInSeconds: expiresInSeconds ?? parsed.expiresInSeconds }, "set");
    },
    acquire,
    getToken: async (options) => (await acquire(options)).token,
    renew: (refused, signal) => replaceToken(renewal, refused, signal),
    refresh: async ({ signal } = {}) => (await wait(renewal, "manual", signal)).token,
    clear: () => dropToken(renewal, new ConduitError("session_lost", "Signed out"), false),
    dispose() {
      renewal.disposed = new ConduitError("disposed", "Disposed");
      renewal.events.clear();
      dropToken(renewal, renewal.disposed, false);
    },
  };
}
