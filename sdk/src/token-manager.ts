import { createEmitter } from "./emitter.ts";
import { ConduitError, isConduitError } from "./errors.ts";
import { type HeldToken, holdToken, marginMs, remainingMs } from "./expiry.ts";
import type { ConduitEvents, GetToken, Grant, ParsedGrant, RefreshReason } from "./grant.ts";
import { parseGrant } from "./grant.ts";
import { defaultPlatform, type Platform } from "./platform.ts";
import { createRefreshSlot, type Flight, type RefreshSlot } from "./refresh-slot.ts";

const maxTimerStepMs = 60_000;
// Shorter tokens are replaced only when a call needs one: a source that answers stale tokens must not be asked for ever by a timer.
const minTimedLifetimeMs = 1000;
const maxBackoffMs = 60_000;

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

/** How to wait for a token. */
export interface AcquireOptions {
  /** Ends this wait, not the refresh others wait for too. */
  readonly signal?: AbortSignal | null | undefined;
  /** Also wait when the token is still valid but due for refresh: for a request that cannot be sent twice. Default false. */
  readonly fresh?: boolean;
}

/**
 * Holds one user's token in memory and replaces it in time.
 *
 * Refresh starts `min(60 s, a fifth of the lifetime)` before expiry, behind calls that go on with the old token; they wait only for a token
 * that has expired or is missing. One refresh at a time, however many ask. Errors of `refresh` never sign out; `null` does.
 */
export class TokenManager {
  readonly #source: GetToken;
  readonly #autoRefresh: boolean;
  readonly #platform: Platform;
  readonly #slot: RefreshSlot<HeldToken>;
  readonly #events = createEmitter<ConduitEvents>();
  #held: HeldToken | undefined;
  #generation = 0;
  /** Tokens of earlier generations belong to a session that has ended. */
  #sessionStart = 0;
  #lost = false;
  #disposed = false;
  #attemptId: string | undefined;
  #failures = 0;
  #retryAtMs = 0;
  #disarm: () => void = () => {};

  /** Does nothing until a token is set or asked for. Throws `TypeError` for options out of bounds. */
  constructor(options: TokenManagerOptions) {
    const { refresh, refreshTimeoutMs = 10_000, autoRefresh = true, platform } = options;
    if (typeof refresh !== "function") throw new TypeError("the source of tokens must be a function");
    if (!(refreshTimeoutMs >= 1 && refreshTimeoutMs < 2 ** 31))
      throw new TypeError("refreshTimeoutMs must be 1 to 2^31 - 1");
    this.#source = refresh;
    this.#autoRefresh = autoRefresh;
    this.#platform = { ...defaultPlatform, ...platform };
    this.#slot = createRefreshSlot<HeldToken>(this.#platform, refreshTimeoutMs);
  }

  /** What a user interface shows; read it again on `change`. */
  get state(): ConduitState {
    if (this.#lost) return "lost";
    if (this.#slot.current()) return "refreshing";
    return this.#held ? "ready" : "empty";
  }

  /** Adds a listener; answers the function that removes it. */
  on<Type extends keyof ConduitEvents>(type: Type, listener: (event: ConduitEvents[Type]) => void): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Takes a token received elsewhere, for instance at login. A refresh under way is given up, its waiters get this token.
   * `expiresInSeconds` counts from now; default: what the grant or the token itself says. Throws `TypeError` for what is no token.
   */
  setToken(grant: Grant, expiresInSeconds?: number): void {
    this.#assertOpen();
    if (!Number.isFinite(expiresInSeconds ?? 0)) throw new TypeError("expiresInSeconds must be a finite number");
    const parsed = parseGrant(grant);
    this.#accept({ ...parsed, expiresInSeconds: expiresInSeconds ?? parsed.expiresInSeconds }, "set");
  }

  /** A token that has not expired. Rejects with `session_lost`, `refresh_failed`, `refresh_timeout`, or the signal's reason. */
  async getToken(options: AcquireOptions = {}): Promise<string> {
    return (await this.acquire(options)).token;
  }

  /** Asks for a new token now, or joins the refresh under way. Rejects as `getToken` does; the old token is kept then. */
  async refresh(options: Pick<AcquireOptions, "signal"> = {}): Promise<string> {
    this.#assertOpen();
    return (await this.#slot.wait(this.#join("manual"), options.signal)).token;
  }

  /** Forgets the token. A refresh under way cannot bring it back; its waiters get `session_lost`. */
  clear(): void {
    this.#drop(new ConduitError("session_lost", "Signed out"), false);
  }

  /** Forgets everything and stops all timers and listeners; later calls reject with `disposed`. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.#events.clear();
    this.#drop(disposedError(), false);
  }

  /** As {@link getToken}, with the receipt: pass it to {@link renew} if the token is refused. @internal */
  async acquire({ signal, fresh = false }: AcquireOptions = {}): Promise<HeldToken> {
    this.#assertOpen();
    const held = this.#held;
    if (!held) return this.#slot.wait(this.#join("initial"), signal);
    const leftMs = remainingMs(held, this.#platform, fresh);
    if (leftMs > marginMs(held)) return held;
    if (leftMs <= 0) return this.#slot.wait(this.#join("expired"), signal);
    if (!fresh) {
      this.#refreshBehind("proactive");
      return held;
    }
    return this.#slot.wait(this.#join("proactive"), signal).catch((error) => {
      if (signal?.aborted || this.#held !== held) throw error;
      return held;
    });
  }

  /**
   * A token other than `refused`. A refusal that comes late, when that token is no longer the current one, gets the current one without a
   * refresh. One that comes after sign-out gets `session_lost`, also when someone has signed in since: a request of one person must not be
   * sent again in the name of the next. @internal
   */
  async renew(refused: HeldToken, signal?: AbortSignal | null): Promise<HeldToken> {
    this.#assertOpen();
    const held = this.#held;
    if (!held || refused.generation < this.#sessionStart) throw new ConduitError("session_lost", "Signed out");
    return held === refused ? this.#slot.wait(this.#join("unauthorized"), signal) : held;
  }

  #assertOpen(): void {
    if (this.#disposed) throw disposedError();
  }

  #join(reason: RefreshReason): Flight<HeldToken> {
    const running = this.#slot.current();
    if (running) return running;
    const flight = this.#slot.start();
    const report = (outcome: ConduitEvents["refresh"]["outcome"]) => {
      const durationMs = this.#platform.monotonic() - flight.startedAtMs;
      this.#events.emit("refresh", { reason, durationMs, waiters: flight.waiters, outcome });
    };
    flight.promise.then(
      () => report("rotated"),
      (error) => {
        const lost = !isConduitError(error) || !error.retryable;
        if (!lost) this.#postpone();
        report(lost ? "lost" : "failed");
      },
    );
    void this.#run(flight, reason);
    return flight;
  }

  /** Nobody waits, so nobody learns of a failure: the next try is spaced. */
  #refreshBehind(reason: RefreshReason): void {
    if (this.#platform.monotonic() >= this.#retryAtMs) this.#join(reason);
  }

  #postpone(): void {
    const backoffMs = Math.min(500 * 2 ** ++this.#failures, maxBackoffMs);
    this.#retryAtMs = this.#platform.monotonic() + backoffMs * (0.5 + this.#platform.random() / 2);
    this.#arm();
  }

  async #run(flight: Flight<HeldToken>, reason: RefreshReason): Promise<void> {
    const generation = this.#generation;
    const refreshToken = this.#held?.refreshToken;
    const attemptId = this.#attemptId ?? this.#platform.randomId();
    this.#attemptId = attemptId;
    try {
      const grant = await this.#source({ reason, attemptId, refreshToken, signal: flight.signal });
      if (grant === null) throw new ConduitError("session_lost", "Signed out: getToken answered null");
      const parsed = parseGrant(grant);
      // Sign-out, setToken or another flight came first: this answer must not undo it. A late answer with nothing newer is taken,
      // for the server may have rotated the refresh token.
      if (generation === this.#generation) {
        this.#accept({ ...parsed, refreshToken: parsed.refreshToken ?? refreshToken }, "refresh");
      }
    } catch (error) {
      if (!isConduitError(error, "session_lost")) {
        flight.reject(new ConduitError("refresh_failed", "getToken failed; the session is kept", error));
      } else if (generation === this.#generation) {
        this.#drop(error, true);
      }
    }
  }

  #accept(grant: ParsedGrant, via: "refresh" | "set"): void {
    const held = holdToken(grant, ++this.#generation, this.#platform);
    this.#held = held;
    this.#lost = false;
    this.#attemptId = undefined;
    this.#failures = 0;
    this.#retryAtMs = 0;
    this.#slot.current()?.resolve(held);
    this.#arm();
    const expiresAt = held.receivedWallMs + held.lifetimeMs;
    this.#events.emit("change", { tokens: { expiresAt, generation: held.generation }, via });
  }

  #drop(error: ConduitError, lost: boolean): void {
    const hadToken = this.#held !== undefined;
    const wasLost = this.#lost;
    this.#sessionStart = ++this.#generation;
    this.#held = undefined;
    this.#lost = lost;
    this.#attemptId = undefined;
    this.#disarm();
    this.#slot.current()?.reject(error);
    if (hadToken || lost !== wasLost) this.#events.emit("change", { tokens: null, via: "signed-out" });
    if (lost && !wasLost) this.#events.emit("lost", { error });
  }

  /** Timers are hints, in steps a sleeping or throttled runtime cannot spoil; what counts is the check at each call. */
  #arm(): void {
    this.#disarm();
    const held = this.#held;
    const platform = this.#platform;
    if (!this.#autoRefresh || !held || held.lifetimeMs === Infinity || held.lifetimeMs <= minTimedLifetimeMs) return;
    const dueMs = Math.max(remainingMs(held, platform, false) - marginMs(held), this.#retryAtMs - platform.monotonic());
    const cancelTimer = platform.setTimer(Math.min(Math.max(dueMs, 0), maxTimerStepMs), () => {
      if (dueMs > maxTimerStepMs || platform.monotonic() < this.#retryAtMs) this.#arm();
      else if (remainingMs(held, platform, false) > 0) this.#refreshBehind("proactive");
    });
    const cancelResume = platform.onResume?.(() => {
      if (remainingMs(held, platform, true) <= marginMs(held)) this.#join("resume");
    });
    this.#disarm = () => {
      cancelTimer();
      cancelResume?.();
      this.#disarm = () => {};
    };
  }
}

function disposedError(): ConduitError {
  return new ConduitError("disposed", "This client was disposed");
}
