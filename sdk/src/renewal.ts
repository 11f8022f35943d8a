import type { Emitter } from "./emitter.ts";
import { ConduitError, isConduitError } from "./errors.ts";
import { type HeldToken, holdToken, marginMs, remainingMs } from "./expiry.ts";
import { type ConduitEvents, type GetToken, type ParsedGrant, parseGrant, type RefreshReason } from "./grant.ts";
import type { Platform } from "./platform.ts";
import type { Flight, RefreshSlot } from "./refresh-slot.ts";

const maxTimerStepMs = 60_000;
// Shorter tokens are replaced only when a call needs one: a source that answers stale tokens must not be asked for ever by a timer.
const minTimedLifetimeMs = 1000;
const maxBackoffMs = 60_000;
// A server may ask for more patience than our own backoff, but not for a client that is dead for a day.
const maxRetryAfterMs = 300_000;
// So many failures in a row, and calls too wait for the backoff: an app in a loop must not become a storm.
const maxEagerFailures = 9;

/** What is left of a rotation when it has ended, one way or the other. */
export const settled = { attemptId: undefined, failures: 0, retryAtMs: 0 } satisfies Partial<Renewal>;

/** How to wait for a token. */
export interface AcquireOptions {
  /** Ends this wait, not the refresh others wait for too. */
  readonly signal?: AbortSignal | null | undefined;
  /** Also wait when the token is still valid but due for refresh: for a request that cannot be sent twice. Default false. */
  readonly fresh?: boolean;
  /**
   * Also wait when the token is valid for no longer than this, in ms; at most four fifths of its lifetime count. Default 0: calls wait only
   * for a token that has expired. When the refresh fails, the old token is given while it is valid.
   */
  readonly minTtlMs?: number | undefined;
  /** Only a token of the session that this one is of. @internal */
  readonly since?: HeldToken | undefined;
}

/** One user's token with all that is known about getting the next one. */
export interface Renewal {
  readonly source: GetToken;
  readonly autoRefresh: boolean;
  readonly platform: Platform;
  readonly slot: RefreshSlot<HeldToken>;
  readonly events: Emitter<ConduitEvents>;
  held?: HeldToken | undefined;
  generation: number;
  /** Tokens of earlier generations belong to a session that has ended. */
  since: number;
  lost: boolean;
  /** What everybody gets after the end. */
  disposed?: ConduitError;
  /** Of the rotation that has begun and is not known to have ended. */
  attemptId?: string | undefined;
  failures: number;
  retryAtMs: number;
  /** What calls get until `retryAtMs` without the source being asked; only after a `Retry-After` or many failures. */
  error?: ConduitError | undefined;
  cancel(): void;
}

/** A token good enough for the caller, with its receipt: pass it to {@link replaceToken} if it is refused. */
export async function acquireToken(
  renewal: Renewal,
  { signal, fresh, minTtlMs = 0, since }: AcquireOptions,
): Promise<HeldToken> {
  const { held, platform } = renewal;
  if (since) assertSameSession(renewal, since);
  if (!held) return wait(renewal, "initial", signal);
  const dueMs = marginMs(held);
  // Capped, or a token just received would be too short for a demanding caller, and be replaced for ever.
  const neededMs = Math.max(fresh ? dueMs : 0, Math.min(minTtlMs, held.lifetimeMs * 0.8));
  const leftMs = remainingMs(held, platform, neededMs > 0);
  if (leftMs > neededMs) {
    // Nobody waits, so nobody learns of a failure: the next try is spaced.
    if (leftMs <= dueMs && !isEarly(renewal)) joinRefresh(renewal, "proactive");
    return held;
  }
  return wait(renewal, leftMs > 0 ? "proactive" : "expired", signal).catch((error) => {
    if (signal?.aborted || renewal.held !== held || remainingMs(held, platform) <= 0) throw error;
    return held;
  });
}

/**
 * A token other than `refused`. A refusal that comes late, when that token is no longer the current one, gets the current one without a
 * refresh. One that comes after sign-out gets `session_lost`, also when someone has signed in since: a request of one person must not be
 * sent again in the name of the next.
 */
export async function replaceToken(
  renewal: Renewal,
  refused: HeldToken,
  signal: AbortSignal | null | undefined,
): Promise<HeldToken> {
  const held = assertSameSession(renewal, refused);
  return held === refused ? wait(renewal, "unauthorized", signal) : held;
}

/** The current token; throws when the session that `token` is of has ended. */
function assertSameSession({ held, since }: Renewal, token: HeldToken): HeldToken {
  if (held && token.generation >= since) return held;
  throw new ConduitError("session_lost", "Signed out");
}

function isEarly({ platform, retryAtMs }: Renewal): boolean {
  return platform.monotonic() < retryAtMs;
}

function assertOpen({ disposed }: Renewal): void {
  if (disposed) throw disposed;
}

/** Waits for the refresh under way, or for one that begins now. */
export async function wait(
  renewal: Renewal,
  reason: RefreshReason,
  signal: AbortSignal | null | undefined,
): Promise<HeldToken> {
  assertOpen(renewal);
  if (renewal.error && reason !== "manual" && isEarly(renewal)) throw renewal.error;
  return renewal.slot.wait(joinRefresh(renewal, reason), signal);
}

function joinRefresh(renewal: Renewal, reason: RefreshReason): Flight<HeldToken> {
  const running = renewal.slot.current();
  if (running) return running;
  const flight = renewal.slot.start();
  const report = (outcome: ConduitEvents["refresh"]["outcome"]) => {
    const durationMs = renewal.platform.monotonic() - flight.startedAtMs;
    renewal.events.emit("refresh", { reason, durationMs, waiters: flight.waiters, outcome });
  };
  flight.promise.then(
    () => report("rotated"),
    (error) => {
      const failed = isConduitError(error) && error.retryable;
      if (failed) postpone(renewal, error);
      report(failed ? "failed" : "lost");
    },
  );
  void run(renewal, flight, reason);
  return flight;
}

function postpone(renewal: Renewal, error: ConduitError): void {
  const { platform } = renewal;
  const { retryAfterMs } = Object(error.cause) as { readonly retryAfterMs?: unknown };
  const askedMs = Math.min(Number(retryAfterMs) || 0, maxRetryAfterMs);
  const backoffMs = Math.min(500 * 2 ** ++renewal.failures, maxBackoffMs) * (0.5 + platform.random() / 2);
  renewal.retryAtMs = platform.monotonic() + askedMs + backoffMs;
  renewal.error = askedMs > 0 || renewal.failures > maxEagerFailures ? error : undefined;
  armTimers(renewal);
}

async function run(renewal: Renewal, flight: Flight<HeldToken>, reason: RefreshReason): Promise<void> {
  const { generation } = renewal;
  const { token, refreshToken } = renewal.held ?? {};
  renewal.attemptId ??= renewal.platform.randomId();
  try {
    const { attemptId } = renewal;
    const grant = await renewal.source({ reason, attemptId, token, refreshToken, signal: flight.signal });
    if (grant === null) throw new ConduitError("session_lost", "Signed out");
    const parsed = parseGrant(grant);
    // Sign-out, setToken or another flight came first: this answer must not undo it. A late answer with nothing newer is taken,
    // for the server may have rotated the refresh token.
    if (generation === renewal.generation) {
      acceptGrant(renewal, { ...parsed, refreshToken: parsed.refreshToken ?? refreshToken }, "refresh");
    }
  } catch (error) {
    if (!isConduitError(error, "session_lost")) {
      flight.reject(new ConduitError("refresh_failed", "getToken failed", error));
    } else if (generation === renewal.generation) {
      dropToken(renewal, error, true);
    }
  }
}

/** Holds a new token; whoever waits gets it. */
export function acceptGrant(renewal: Renewal, grant: ParsedGrant, via: "refresh" | "set"): void {
  assertOpen(renewal);
  const held = holdToken(grant, ++renewal.generation, renewal.platform);
  Object.assign(renewal, { ...settled, held, lost: false } satisfies Partial<Renewal>);
  renewal.slot.current()?.resolve(held);
  armTimers(renewal);
  renewal.events.emit("change", { tokens: { expiresAt: held.expiresAt, generation: held.generation }, via });
}

/** Ends the session: whoever waits gets `error`. `lost`: it ended by itself, nobody signed out. */
export function dropToken(renewal: Renewal, error: ConduitError, lost: boolean): void {
  const { held, lost: wasLost, events } = renewal;
  renewal.since = ++renewal.generation;
  Object.assign(renewal, { ...settled, held: undefined, lost } satisfies Partial<Renewal>);
  renewal.cancel();
  renewal.slot.current()?.reject(error);
  if (held || lost !== wasLost) events.emit("change", { tokens: null, via: "signed-out" });
  if (lost && !wasLost) events.emit("lost", { error });
}

/** Timers are hints, in steps a sleeping or throttled runtime cannot spoil; what counts is the check at each call. */
function armTimers(renewal: Renewal): void {
  renewal.cancel();
  const { held, platform } = renewal;
  if (!renewal.autoRefresh || !held || held.lifetimeMs === Infinity || held.lifetimeMs <= minTimedLifetimeMs) return;
  const dueMs = Math.max(remainingMs(held, platform) - marginMs(held), renewal.retryAtMs - platform.monotonic());
  const cancelTimer = platform.setTimer(Math.min(Math.max(dueMs, 0), maxTimerStepMs), () => {
    if (dueMs > maxTimerStepMs || isEarly(renewal)) armTimers(renewal);
    else if (remainingMs(held, platform) > 0) joinRefresh(renewal, "proactive");
  });
  const cancelResume = platform.onResume?.(() => {
    // Our own backoff does not count here, since the network may be back; what a server asked for does.
    const isDue = remainingMs(held, platform, true) <= marginMs(held);
    if (isDue && !(renewal.error && isEarly(renewal))) joinRefresh(renewal, "resume");
  });
  renewal.cancel = () => {
    cancelTimer();
    cancelResume?.();
  };
}
